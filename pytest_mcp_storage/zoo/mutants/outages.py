"""Stores that answer from a cache in an outage, or do not recover from it, and one with a vague error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, InMemoryStore, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate, StorageSetupError, StorageUnavailableError
from reference_backends.core.base import BackendOptions
from reference_backends.core.validation import check_identity, check_names

Result = TypeVar("Result")


class _Remembers(InMemoryBackend):
    """Base: answers of reads, by their question."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.answers: dict[Any, Any] = {}

    async def remembered(self, question: Any, answer: Any) -> Any:
        try:
            self.answers[question] = await answer
        except StorageUnavailableError:
            if question not in self.answers:
                raise
        return self.answers[question]


@broken("FA-1")
class ServesWhatItRemembers(_Remembers):
    """Serves the last answer during an outage: what was revoked meanwhile stays in use."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        session: SessionData | None = await self.remembered(
            (identity, session_id), super().get_session(identity, session_id)
        )
        return session


@broken("FA-1")
class ListsWhatItRemembers(_Remembers):
    """Shows the last page that it could read, so that the page is never empty."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return list(await self.remembered(identity, super().get_identity_sessions_data(identity)))


@broken("FA-1")
class CountsWhatItRemembers(_Remembers):
    """Counts sessions for a chart that must not have gaps."""

    async def get_all_session_ids(self) -> list[str]:
        return list(await self.remembered("all", super().get_all_session_ids()))


class _KeepsItsLock(InMemoryBackend):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.lock = asyncio.Lock()

    async def remove_session(self, identity: str, session_id: str) -> None:
        await self.lock.acquire()
        await super().remove_session(identity, session_id)
        self.lock.release()


class KeepsItsLock(InMemoryHarness):
    """Releases a lock after the call, but not if the call fails: no later removal ever returns."""

    breaks = "FA-2"
    time_limit = 0.3
    backend = _KeepsItsLock


class _LosesConnections(InMemoryBackend):
    pool = 10

    async def call(self, work: Callable[[Rows], Result]) -> Result:
        if not self.pool:
            raise StorageUnavailableError("no connection is free")
        self.pool -= 1
        answer = await super().call(work)
        self.pool += 1
        return answer


class LosesConnections(InMemoryHarness):
    """Returns a connection to its pool after each answer, and not after an error: after ten of them none is left."""

    breaks = "FA-2"
    time_limit = 0.3
    backend = _LosesConnections


class _TripsForGood(InMemoryBackend):
    failures = 0

    async def request(self, work: Callable[[Rows], Result]) -> Result:
        if self.failures >= 5:
            raise StorageUnavailableError("the circuit is open")
        try:
            return await super().request(work)
        except StorageUnavailableError:
            self.failures += 1
            raise


class TripsForGood(InMemoryHarness):
    """Has a circuit breaker that trips after five failures, and nothing that closes it."""

    breaks = "FA-2"
    time_limit = 0.3
    backend = _TripsForGood


@broken("FA-4")
class SaysWhatItTried(InMemoryBackend):
    """Names the query that failed, in words that look like a remedy."""

    def check(self) -> None:
        if self.store.state != "ready":
            raise StorageSetupError("supabase: could not execute the query: relation `mcp_sessions` does not exist")


@broken("FA-1")
class RenewsAsACourtesy(InMemoryBackend):
    """Ignores the failure of a renewal: the session ends while it is in use."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except StorageUnavailableError:
            if changes:
                raise


class _KnowsItsOwn(InMemoryBackend):
    """Base: queries the store only for names in its own index."""

    def knows(self, identity: str, session_id: str) -> bool:
        self._require_open()
        return check_names(identity, session_id) in self.store.rows


@broken("FA-1")
class ReadsByItsIndex(_KnowsItsOwn):
    """Sends no query for a name that its index lacks, and the index is empty when the process starts."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        return await super().get_session(identity, session_id) if self.knows(identity, session_id) else None


@broken("FA-1")
class RemovesByItsIndex(_KnowsItsOwn):
    """The same for removals: another server's session is reported as removed."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        if self.knows(identity, session_id):
            await super().remove_session(identity, session_id)


@broken("FA-1")
class ListsByItsIndex(InMemoryBackend):
    """The same for a listing: an unknown identity has no sessions."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        self._require_open()
        known = any(name[0] == check_identity(identity) for name in self.store.rows)
        return await super().get_identity_sessions_data(identity) if known else []
