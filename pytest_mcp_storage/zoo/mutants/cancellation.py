"""Stores that a cancelled call leaves with half a write, or with something that the next call meets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from pytest_mcp_storage.engine.violation import outcome_of
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import (
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SessionUpdate,
)
from reference_backends.core.base import BackendOptions
from reference_backends.core.validation import check_changes, check_names, check_session

Answer = TypeVar("Answer")


@broken("CA-1")
class WritesFieldAfterField(InMemoryBackend):
    """Sends a request for each field that an update names: cancelled between two, it leaves a mixture."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        for field, value in check_changes(changes).items() or [("", None)]:
            one: Any = {field: value} if field else {}
            await super().update_session(identity, session_id, one, ttl)


@broken("CA-1")
class ListsAfterwards(InMemoryBackend):
    """Writes a session first and its entry in the identity's index next: cancelled between, it is never listed."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.index: set[tuple[str, str]] = vars(store).setdefault("index", set())

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        await self.call(lambda rows: self.index.add((session.identity, session.session_id)))

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        found = super().of(rows, identity)
        return {session_id: row for session_id, row in found.items() if (identity, session_id) in self.index}


@broken("CA-1")
class DeletesAndInserts(InMemoryBackend):
    """Updates by a DELETE and an INSERT without a transaction: cancelled between, the session is gone."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, named, expires_at = check_names(identity, session_id), check_changes(changes), self._expiry(ttl)
        row = await self.call(lambda rows: rows.pop(name) if self.live(rows, name) else None)
        if row is None:
            raise SessionNotFoundError("there is no such session")
        new = Row(self.merged(row.record, named), expires_at)
        await self.call(lambda rows: rows.update({name: new}))


@broken("CA-1")
class ShieldsTheFirstHalf(InMemoryBackend):
    """Shields the write of the fields from cancellation, and not the write of tokens that belongs to it."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        plain: Any = {field: value for field, value in changes.items() if field != "tokens"}
        tokens: Any = {field: value for field, value in changes.items() if field == "tokens"}
        await asyncio.shield(super().update_session(identity, session_id, plain, ttl))
        if tokens:
            await super().update_session(identity, session_id, tokens, ttl)


@broken("CA-1")
class CreatesThenExpires(InMemoryBackend):
    """Creates a session and sets its end by a second command, SET and EXPIRE: cancelled between, it never ends."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        expires_at, name = self._expiry(ttl), (session.identity, session.session_id)
        row = Row(self.kept(check_session(session)), float("inf"))

        def insert(rows: Rows) -> None:
            if self.live(rows, name):
                raise SessionExistsError("that session exists already")
            rows[name] = row

        await self.call(insert)
        await self.call(lambda rows: rows.update({name: row._replace(expires_at=expires_at)}))


class _OneConnection(InMemoryBackend):
    """One connection for one caller at a time."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.line = asyncio.Lock()
        self.wire: deque[Any] = deque()

    async def request(self, work: Callable[[Rows], Answer]) -> Answer:
        async with self.line:
            return await self.asked(work)

    async def asked(self, work: Callable[[Rows], Answer]) -> Answer:
        return await super().request(work)


@broken("CA-2")
class AnswersTheNextCaller(_OneConnection):
    """Leaves the answer of a cancelled call in the connection, where the next caller reads it as its own."""

    async def asked(self, work: Callable[[Rows], Answer]) -> Answer:
        self.wire.append(await outcome_of(super().asked(work)))
        await asyncio.sleep(0)
        answer = self.wire.popleft()
        if isinstance(answer, Exception):
            raise answer
        result: Answer = answer
        return result


@broken("CA-2")
class ReadsAreAnsweredByTheNext(_OneConnection):
    """Takes up a request that was left unfinished, and gives its answer to the caller who finds it."""

    unfinished: asyncio.Future[Any] | None = None

    async def asked(self, work: Callable[[Rows], Answer]) -> Answer:
        pending = self.unfinished or asyncio.ensure_future(super().asked(work))
        self.unfinished = pending
        try:
            result: Answer = await asyncio.shield(pending)
        except Exception:
            self.unfinished = None
            raise
        self.unfinished = None
        return result


@broken("CA-2")
class KeepsItsLockWhenCancelled(InMemoryBackend):
    """Gives its lock back in ``except Exception``, which CancelledError is not: the next update waits for ever."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.gate = asyncio.Lock()

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await self.gate.acquire()
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except Exception:
            self.gate.release()
            raise
        self.gate.release()


@broken("CA-2")
class LosesAConnectionEachTime(InMemoryBackend):
    """Takes a connection out of a pool of a hundred, and puts it back only if the call has ended by itself."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.pool = asyncio.Semaphore(100)

    async def call(self, work: Callable[[Rows], Answer]) -> Answer:
        await self.pool.acquire()
        try:
            answer = await super().call(work)
        except Exception:
            self.pool.release()
            raise
        self.pool.release()
        return answer


@broken("CA-2")
class LeavesItsTransactionOpen(InMemoryBackend):
    """Begins a transaction and commits it, or rolls it back for an error; cancelled, it keeps the table locked."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        table: asyncio.Lock = vars(self.store).setdefault("table", asyncio.Lock())
        await table.acquire()
        try:
            await super().create_session(session, ttl)
        except Exception:
            table.release()
            raise
        table.release()


@broken("CA-2")
class LeavesItsPlaceInTheQueue(InMemoryBackend):
    """Serves callers by numbered tickets; the ticket of a caller who was cancelled while waiting is never called."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.next_ticket = self.served = 0
        self.turn = asyncio.Event()

    async def remove_session(self, identity: str, session_id: str) -> None:
        ticket, self.next_ticket = self.next_ticket, self.next_ticket + 1
        while self.served < ticket:
            self.turn.clear()
            await self.turn.wait()
        await asyncio.sleep(0)
        try:
            await super().remove_session(identity, session_id)
        finally:
            self.served += 1
            self.turn.set()
