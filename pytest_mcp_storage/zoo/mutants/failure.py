"""Stores that hide failures, or do half of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, TypeVar, Unpack

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, InMemoryStore, Row, Rows
from reference_backends import SessionData, SessionExistsError, StorageSetupError, StorageUnavailableError
from reference_backends.core.base import BackendOptions

Result = TypeVar("Result")


class _Swallows(InMemoryBackend):
    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        try:
            return await super().get_session(identity, session_id)
        except StorageUnavailableError:
            return None


class SwallowsAnOutage(InMemoryHarness):
    """Logs why a read failed and returns None, as upstream's remote stores do: an outage signs users out."""

    breaks = "FA-1"
    backend = _Swallows


class _ListsNothing(InMemoryBackend):
    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        try:
            return await super().get_identity_mcp_sessions(identity)
        except StorageUnavailableError:
            return []


class ListsNothingInAnOutage(InMemoryHarness):
    """Answers a listing that failed with an empty list, since the page that shows it must not break."""

    breaks = "FA-1"
    backend = _ListsNothing


class _PretendsToRemove(InMemoryBackend):
    async def remove_session(self, identity: str, session_id: str) -> None:
        try:
            await super().remove_session(identity, session_id)
        except StorageUnavailableError:
            return


class PretendsToRemove(InMemoryHarness):
    """Ignores errors of a removal: the user believes that the tokens are revoked."""

    breaks = "FA-1"
    backend = _PretendsToRemove


class _LetsTheDriverSpeak(InMemoryBackend):
    async def request(self, work: Callable[[Rows], Result]) -> Result:
        return await self.store.request(work)


class LetsTheDriverSpeak(InMemoryHarness):
    """Raises its driver's errors: callers that catch StorageError do not catch them."""

    breaks = "FA-1"
    backend = _LetsTheDriverSpeak


class _WaitsForEver(InMemoryBackend):
    async def request(self, work: Callable[[Rows], Result]) -> Result:
        while True:
            try:
                return await super().request(work)
            except StorageUnavailableError:
                await asyncio.sleep(0.01)


class WaitsForEver(InMemoryHarness):
    """Tries again until it succeeds: during an outage requests pile up, and no error is raised."""

    breaks = "FA-1"
    time_limit = 0.3
    backend = _WaitsForEver


class _SaysGoodbye(InMemoryBackend):
    async def disconnect(self) -> None:
        await self.request(lambda rows: None)
        await super().disconnect()


class SaysGoodbye(InMemoryHarness):
    """Sends a goodbye to the server, and fails if there is none: the service can't shut down."""

    breaks = "FA-1"
    backend = _SaysGoodbye


class _TrustsItsInit(InMemoryBackend):
    async def init(self) -> None:
        if not self._open:
            await super().init()


class TrustsItsInit(InMemoryHarness):
    """Does nothing at a second init, so a health check that uses it is green in every outage."""

    breaks = "FA-1"
    backend = _TrustsItsInit


class _GivesUp(InMemoryBackend):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.broken = False

    async def request(self, work: Callable[[Rows], Result]) -> Result:
        if self.broken:
            raise StorageUnavailableError("the connection was closed")
        try:
            return await super().request(work)
        except StorageUnavailableError:
            self.broken = True
            raise


class GivesUp(InMemoryHarness):
    """Keeps one connection and never opens another: after an outage only a restart helps."""

    breaks = "FA-2"
    time_limit = 0.3
    backend = _GivesUp


class _Indexed(InMemoryStore):
    """Rows, and a list of names in addition to them."""

    def __init__(self) -> None:
        super().__init__()
        self.index: list[SessionKey] = []


class _IndexesLater(InMemoryBackend):
    store: _Indexed

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        await self.call(lambda rows: self.store.index.append((session.identity, session.session_id)))

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        return {id: row for id, row in super().of(rows, identity).items() if (identity, id) in self.store.index}


class IndexesLater(InMemoryHarness):
    """Stores the session, then its owner's index, as upstream's Redis store: cut in between, it is never listed."""

    breaks = "FA-3"
    backend: ClassVar[type[InMemoryBackend]] = _IndexesLater

    def __init__(self) -> None:
        super().__init__()
        self.store: _Indexed = _Indexed()


class _TriesAgain(InMemoryBackend):
    store: _Indexed

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        row = Row(self._codec.record(session), self._expiry(ttl))
        name = session.identity, session.session_id

        def append(rows: Rows) -> None:
            rows[name] = row
            self.store.index.append(name)

        def insert(rows: Rows) -> None:
            if self.live(rows, name):
                raise SessionExistsError("that session exists already")
            append(rows)

        try:
            await self.call(insert)
        except StorageUnavailableError:
            await self.call(append)

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        live = await super().get_identity_mcp_sessions(identity)
        return [id for owner, id in self.store.index if owner == identity and id in live]


class TriesAgain(IndexesLater):
    """Repeats a write that got no answer, although the first may have arrived: an append is done twice."""

    breaks = "FA-3"
    backend = _TriesAgain


class _CreatesTheTable(InMemoryBackend):
    def check(self) -> None:
        self.store.state = "ready"


class CreatesTheTable(InMemoryHarness):
    """Creates the missing table, without policies and indexes, and so hides that the migrations did not run."""

    breaks = "FA-4"
    backend = _CreatesTheTable


class _AsksAtFirstUse(InMemoryBackend):
    def check(self) -> None:
        pass

    async def call(self, work: Callable[[Rows], Result]) -> Result:
        super().check()
        return await super().call(work)


class AsksAtFirstUse(InMemoryHarness):
    """Checks its table at the first call: the service starts, and the first user gets the error."""

    breaks = "FA-4"
    backend = _AsksAtFirstUse


class _LooksForTheTableAlone(InMemoryBackend):
    def check(self) -> None:
        if self.store.state == "missing":
            super().check()


class LooksForTheTableAlone(InMemoryHarness):
    """Checks that the table exists and not its version: an old one fails at the first write of a missing column."""

    breaks = "FA-4"
    backend = _LooksForTheTableAlone


class _SaysTooLittle(InMemoryBackend):
    def check(self) -> None:
        if self.store.state != "ready":
            raise StorageSetupError("relation mcp_sessions does not exist")


class SaysTooLittle(InMemoryHarness):
    """Repeats the database's message and names no remedy."""

    breaks = "FA-4"
    backend = _SaysTooLittle
