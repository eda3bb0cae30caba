"""The links of one handle: one for each event loop that uses it, none that outlives its loop or crosses a fork."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any, cast

from redis.asyncio import Redis, RedisCluster

from reference_backends.errors import ConfigurationError
from reference_backends.redis_errors import FAILURES
from reference_backends.redis_link import Link, link_to

Client = Redis | RedisCluster


class Links:
    """Made with ``source``, a client or a function that returns one; ``limit`` is in seconds."""

    def __init__(self, source: Client | Callable[[], Client], limit: float) -> None:
        self._source = source
        self._limit = limit
        self._by_loop: dict[asyncio.AbstractEventLoop, Link] = {}
        self._inherited: list[object] = []
        self._process = os.getpid()
        self._guard = threading.Lock()
        self._lent = False
        self._latest: Client | None = None

    @property
    def server(self) -> str:
        """The server in words, without user name and password."""
        pool = getattr(self._latest, "connection_pool", None)
        settings = cast("dict[str, Any]", getattr(pool, "connection_kwargs", {}))
        where = settings.get("path") or (f"{settings['host']}:{settings.get('port')}" if "host" in settings else "")
        return f"the Redis server at {where}" if where else "the Redis server"

    def here(self) -> Link:
        """The running event loop's link. Raises :class:`ConfigurationError` for what gives no client for it."""
        loop = asyncio.get_running_loop()
        link = self._by_loop.get(loop)
        if link is None:
            lent = isinstance(self._source, RedisCluster)
            with self._guard:
                self._leave_to_the_parent()
                for ended in [other for other in self._by_loop if other.is_closed()]:
                    del self._by_loop[ended]
                self._latest = self._client()
                link = self._by_loop[loop] = link_to(self._latest, self._limit, lent=lent)
        return link

    async def close(self) -> None:
        """Close the links of every loop that still runs. The next call makes new ones."""
        here = asyncio.get_running_loop()
        with self._guard:
            self._leave_to_the_parent()
            links, self._by_loop = self._by_loop, {}
            self._lent = False
        for loop, link in links.items():
            # An outage is no reason to stay open, and another loop may end at this moment.
            with contextlib.suppress(*FAILURES, RuntimeError):
                async with asyncio.timeout(self._limit):
                    if loop is here:
                        await link.close()
                    elif loop.is_running():
                        await _closed_there(link, loop)

    def _leave_to_the_parent(self) -> None:
        """In a child: what the parent opened is left as it is, and alive: its end would reach the parent's loops."""
        if self._process != os.getpid():
            self._inherited.append(self._by_loop)
            self._by_loop, self._process = {}, os.getpid()

    def _client(self) -> Client:
        """A client for one more event loop."""
        if isinstance(self._source, Redis):
            return self._source
        if not isinstance(self._source, RedisCluster):
            return self._source()
        if self._lent:
            raise ConfigurationError("this RedisCluster belongs to another event loop: give a function that makes one")
        self._lent = True
        return self._source


async def _closed_there(link: Link, loop: asyncio.AbstractEventLoop) -> None:
    """Close a link on its own loop. That the loop ends meanwhile, and cancels it, does not cancel whoever waits."""
    try:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(link.close(), loop))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
