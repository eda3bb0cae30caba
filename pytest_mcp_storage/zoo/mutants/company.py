"""Stores that mix up identities, or sessions, when several calls are made at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, Unpack

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate
from reference_backends.core.base import BackendOptions

Answer = TypeVar("Answer")
PAGE = 100


class PagesByOffset(InMemoryBackend):
    """Base: lists page by page with OFFSET."""

    page_size = PAGE

    async def _pages(self, identity: str) -> list[tuple[str, Row]]:
        found: list[tuple[str, Row]] = []
        while True:
            start = len(found)
            page = await self.call(partial(self._page, identity, start))
            found += page
            if len(page) < self.page_size:
                return found

    def _page(self, identity: str, start: int, rows: Rows) -> list[tuple[str, Row]]:
        return [*self.of(rows, identity).items()][start : start + self.page_size]

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [self.shown(row.record) for _, row in await self._pages(identity)]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return [session_id for session_id, _ in await self._pages(identity)]


@broken("CO-6")
class ListsByOffset(PagesByOffset):
    """A session that is removed meanwhile moves another one to the page before, which has been read."""


@broken("CO-6")
class ListsNewestFirst(InMemoryBackend):
    """Lists page by page from the newest on: a session that is created meanwhile shows another one twice."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        found: list[str] = []
        while True:
            start = len(found)
            page = await self.call(partial(self._page, identity, start))
            found += page
            if len(page) < PAGE:
                return found

    def _page(self, identity: str, start: int, rows: Rows) -> list[str]:
        return [*self.of(rows, identity)][::-1][start : start + PAGE]


@broken("CO-6")
class GivesUpAListing(InMemoryBackend):
    """Reads the ids and then the session of each, and takes one that is missing by then for the end of the list."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found: list[SessionData] = []
        for session_id in await self.get_identity_mcp_sessions(identity):
            session = await self.get_session(identity, session_id)
            if session is None:
                break
            found.append(session)
        return found


@broken("CO-6")
class CountsFirst(InMemoryBackend):
    """Asks how many ids there are, and then for the newest of that number: a new one pushes an old one out."""

    async def get_all_session_ids(self) -> list[str]:
        count = await self.call(lambda rows: len([name for name in rows if self.live(rows, name)]))
        return (await super().get_all_session_ids())[-count:]


@broken("CO-7")
class ServesTheLatestCaller(InMemoryBackend):
    """Keeps whom it serves in the handle, as a header of the connection, and reads it back after the round trip."""

    user = ""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        self.user = identity
        await self.store.pause()
        return await super().get_session(self.user, session_id)

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        self.user = identity
        await self.store.pause()
        return await super().get_identity_sessions_data(self.user)


@broken("CO-7")
class JoinsRequests(InMemoryBackend):
    """Joins listings that are asked for at once into one request, and forgets that they may be of two identities."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.asking: asyncio.Future[list[str]] | None = None

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        if self.asking is None:
            self.asking = asyncio.ensure_future(super().get_identity_mcp_sessions(identity))
            self.asking.add_done_callback(lambda _: setattr(self, "asking", None))
        return list(await asyncio.shield(self.asking))


@broken("CO-7")
class AnswersInTheOrderOfArrival(InMemoryBackend):
    """Gives the answers that come back to its callers in the order in which they asked; answers overtake each other."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.asked: list[asyncio.Future[Any]] = []

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        mine: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked.append(mine)
        answer = await super().get_identity_sessions_data(identity)
        self.asked.pop(0).set_result(answer)
        return list(await mine)


@broken("CO-3")
class CachesInStep(InMemoryBackend):
    """Caches what it has read a turn later, and empties the cache a turn after a write: in step, none is too late."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.cache: dict[tuple[str, str], SessionData] = {}

    async def request(self, work: Callable[[Rows], Answer]) -> Answer:
        return self.store.done(work)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = identity, session_id
        if name not in self.cache:
            session = await super().get_session(identity, session_id)
            await asyncio.sleep(0)
            if session is None:
                return None
            self.cache[name] = session
        return self.cache[name].model_copy(deep=True)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        await asyncio.sleep(0)
        self.cache.pop((identity, session_id), None)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        await asyncio.sleep(0)
        self.cache.pop((identity, session_id), None)
