"""The connections of one handle: one object for each event loop that uses it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

from redis.asyncio import Redis, RedisCluster

from reference_backends.core.errors import ConfigurationError
from reference_backends.redis.connection import Connection, close, connection_by

Client = Redis | RedisCluster


class Pool:
    """The connections of one handle. ``source`` is a client or a function that returns one; ``limit`` is in seconds.

    A pool belongs to one process: a child of a fork makes a new one and does not close this one.
    """

    def __init__(self, source: Client | Callable[[], Client], limit: float) -> None:
        self._source = source
        self._limit = limit
        self._by_loop: dict[asyncio.AbstractEventLoop, Connection] = {}
        self._endings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
        self._guard = threading.Lock()
        self._borrowed = False
        self._latest: Client | None = None

    @property
    def server(self) -> str:
        """The server's address for messages, without user name and password."""
        pool = getattr(self._latest, "connection_pool", None)
        settings = cast("dict[str, Any]", getattr(pool, "connection_kwargs", {}))
        address = settings.get("path") or (f"{settings['host']}:{settings.get('port')}" if "host" in settings else "")
        return f"the Redis server at {address}" if address else "the Redis server"

    def connection(self) -> Connection:
        """Return the running event loop's connection.

        Raise :class:`ConfigurationError` if the source has no client for that loop.
        """
        loop = asyncio.get_running_loop()
        connection = self._by_loop.get(loop)
        if connection is None:
            with self._guard:
                for ended in [other for other in self._by_loop if other.is_closed()]:
                    del self._by_loop[ended], self._endings[ended]
                borrowed = isinstance(self._source, RedisCluster)
                self._latest = self._client()
                connection = self._by_loop[loop] = connection_by(self._latest, self._limit, borrowed=borrowed)
                self._endings[loop] = _until_the_loop_ends(connection, self._limit)
        return connection

    async def close(self) -> None:
        """Close the connections of every running loop. The next call makes new ones."""
        here = asyncio.get_running_loop()
        with self._guard:
            endings, self._endings, self._by_loop = self._endings, {}, {}
            self._borrowed = False
        for loop, ending in endings.items():
            if loop is here:
                await ending.aclose()
            elif loop.is_running():
                await _close_on(ending, loop)

    def _client(self) -> Client:
        """Return a client for another event loop."""
        if isinstance(self._source, Redis):
            return self._source
        if not isinstance(self._source, RedisCluster):
            return self._source()
        if self._borrowed:
            raise ConfigurationError("this RedisCluster belongs to another event loop: give a function that makes one")
        self._borrowed = True
        return self._source


def _until_the_loop_ends(connection: Connection, limit: float) -> AsyncGenerator[None, None]:
    """Return a generator that closes the connection when the generator is closed.

    A loop that ends with ``shutdown_asyncgens``, as in ``asyncio.run``, closes all generators that were started in it.
    """

    async def waiting() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await close(connection, limit)

    generator = waiting()
    with contextlib.suppress(StopIteration):
        generator.__anext__().send(None)  # run to its yield; nothing is awaited before that
    return generator


async def _close_on(ending: AsyncGenerator[None, None], loop: asyncio.AbstractEventLoop) -> None:
    """Close a connection on its loop. If the loop ends meanwhile and cancels that, the caller is not cancelled."""
    closing = ending.aclose()
    try:
        future = asyncio.run_coroutine_threadsafe(_awaited(closing), loop)
    except RuntimeError:  # the loop has just ended and closed its generators
        return
    await asyncio.wait([asyncio.wrap_future(future)])


async def _awaited(closing: Awaitable[None]) -> None:
    await closing
