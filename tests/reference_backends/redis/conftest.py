"""A server, a plain client, a proxy, and handles of the Redis store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pytest_mcp_storage.faults import FaultProxy
from pytest_mcp_storage.stacks.redis.endpoint import RedisServer
from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import (
    RedisStorageBackend,
    SessionData,
)

KEY = "5e" * 32
AT_ONCE = Retry(NoBackoff(), 0)


def session(session_id: str = "s1", identity: str = "alice", **fields: Any) -> SessionData:
    plain = {"server_url": "u", "transport_type": "sse", "callback_url": "c", "created_at": 0}
    return SessionData(session_id=session_id, identity=identity, **{**plain, **fields})


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with redis_server(settings={"appendonly": "no"}) as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url, retry=AT_ONCE) as client:
        yield client


Open = Callable[..., Awaitable[RedisStorageBackend]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Return a function that opens handles. Close them at the end of the test."""
    handles: list[RedisStorageBackend] = []

    async def open_handle(client: Any, **options: Any) -> RedisStorageBackend:
        handles.append(RedisStorageBackend(client, **options))
        await handles[-1].init()
        return handles[-1]

    yield open_handle
    for handle in handles:
        await handle.disconnect()


@pytest.fixture
async def backend(client: Redis, opened: Open) -> RedisStorageBackend:
    return await opened(client, encryption_key=KEY)


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[FaultProxy]:
    address = urlsplit(server.url)
    async with FaultProxy((address.hostname or "", address.port or 0)) as proxy:
        yield proxy


@asynccontextmanager
async def through(proxy: FaultProxy, server: RedisServer, **options: Any) -> AsyncIterator[RedisStorageBackend]:
    """Open a handle whose client retries, as redis-py does by default, and has no timeout."""
    password = urlsplit(server.url).password
    client = Redis(host=proxy.host, port=proxy.port, password=password, socket_timeout=None)
    backend = RedisStorageBackend(client, **options)
    await backend.init()
    yield backend
    await backend.disconnect()


async def ask(client: Redis, *command: str | int) -> Any:
    """Send a command that redis-py has no method for."""
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]
