"""Stores that a cancelled call leaves in disorder."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from pytest_mcp_storage.measuring.violation import outcome_of
from pytest_mcp_storage.zoo.shelf import Row, Rows, Shelf, ShelfBackend
from pytest_mcp_storage.zoo.specimens import broken
from reference_backends import (
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SessionUpdate,
    StorageUnavailableError,
)
from reference_backends.arguments import check_changes, check_names, check_session
from reference_backends.handle import HandleOptions

Answer = TypeVar("Answer")


@broken("CA-1")
class WritesFieldAfterField(ShelfBackend):
    """Sends a request for each field that an update names: cancelled between two, it leaves a mixture."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        for field, value in check_changes(changes).items() or [("", None)]:
            one: Any = {field: value} if field else {}
            await super().update_session(identity, session_id, one, ttl)


@broken("CA-1")
class ListsAfterwards(ShelfBackend):
    """Writes a session first and its entry in the identity's index next: cancelled between, it is never listed."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
        self.index: set[tuple[str, str]] = vars(shelf).setdefault("index", set())

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        await self.call(lambda rows: self.index.add((session.identity, session.session_id)))

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        found = super().of(rows, identity)
        return {session_id: row for session_id, row in found.items() if (identity, session_id) in self.index}


@broken("CA-1")
class DeletesAndInserts(ShelfBackend):
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
class ShieldsTheFirstHalf(ShelfBackend):
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
class CreatesThenExpires(ShelfBackend):
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


class _OneConnection(ShelfBackend):
    """One connection for one caller at a time."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
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
class KeepsItsLockWhenCancelled(ShelfBackend):
    """Gives its lock back in ``except Exception``, which CancelledError is not: the next update waits for ever."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
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
class LosesAConnectionEachTime(ShelfBackend):
    """Takes a connection out of a pool of a hundred, and puts it back only if the call has ended by itself."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
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
class LeavesItsTransactionOpen(ShelfBackend):
    """Begins a transaction and commits it, or rolls it back for an error; cancelled, it keeps the table locked."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        table: asyncio.Lock = vars(self.shelf).setdefault("table", asyncio.Lock())
        await table.acquire()
        try:
            await super().create_session(session, ttl)
        except Exception:
            table.release()
            raise
        table.release()


@broken("CA-2")
class LeavesItsPlaceInTheQueue(ShelfBackend):
    """Serves callers by numbered tickets; the ticket of a caller who was cancelled while waiting is never called."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
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


@broken("CA-3")
class SharesOneAnswer(ShelfBackend):
    """Asks once for all who read one session at a time; the cancellation of one of them is everybody's answer."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
        self.reading: dict[tuple[str, str], asyncio.Future[SessionData | None]] = {}

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = identity, session_id
        if name not in self.reading:
            self.reading[name] = asyncio.ensure_future(super().get_session(identity, session_id))
            self.reading[name].add_done_callback(lambda _: self.reading.pop(name))
        return await self.reading[name]


@broken("CA-3")
class TheFirstWorksForAll(ShelfBackend):
    """Collects updates for a moment and lets the first caller write them: cancelled, it fails those of the others."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
        self.waiting: list[tuple[Callable[[], Any], asyncio.Future[None]]] = []

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        update = super().update_session
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((lambda: update(identity, session_id, changes, ttl), done))
        if len(self.waiting) == 1:
            await self._write()
        await done

    async def _write(self) -> None:
        await asyncio.sleep(0)
        batch, self.waiting = self.waiting, []
        try:
            for write, done in batch:
                try:
                    await write()
                    done.set_result(None)
                except Exception as error:
                    done.set_exception(error)
        finally:
            for _, done in batch:
                if not done.done():
                    done.set_exception(StorageUnavailableError("the batch was not written; try again"))


@broken("CA-3")
class ClosesTheConnectionOfAll(ShelfBackend):
    """Sends all calls over one connection, and closes it when one is cancelled: the others lose their answers."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
        self.connection = object()

    async def call(self, work: Callable[[Rows], Answer]) -> Answer:
        connection = self.connection
        try:
            answer = await super().call(work)
        except asyncio.CancelledError:
            self.connection = object()
            raise
        if connection is not self.connection:
            raise StorageUnavailableError("the connection was closed; try again")
        return answer


@broken("CA-4")
class AnswersNothingWhenCancelled(ShelfBackend):
    """Takes a cancelled read for one that found nothing, so that its log shows no traceback."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        try:
            return await super().get_session(identity, session_id)
        except asyncio.CancelledError:
            return None


@broken("CA-4")
class TriesAgainWhenCancelled(ShelfBackend):
    """Catches all that goes wrong and tries again, its own cancellation too."""

    async def request(self, work: Callable[[Rows], Answer]) -> Answer:
        for _ in range(3):
            try:
                return await super().request(work)
            except (asyncio.CancelledError, StorageUnavailableError):
                continue
        return await super().request(work)


@broken("CA-4")
class CallsItAnOutage(ShelfBackend):
    """Turns whatever interrupts a request into StorageUnavailableError, the cancellation of its caller too."""

    async def request(self, work: Callable[[Rows], Answer]) -> Answer:
        try:
            return await super().request(work)
        except asyncio.CancelledError as error:
            raise StorageUnavailableError("the shelf did not answer; try again") from error


@broken("CA-4")
class FailsInItsFinally(ShelfBackend):
    """Reads its answer off the connection in ``finally``, which raises when there is none."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        answer: list[str] | None = None
        try:
            answer = await super().get_identity_mcp_sessions(identity)
        finally:
            await asyncio.sleep(0)
            if answer is None:
                raise RuntimeError("no answer to read")
        return answer


@broken("CA-4")
class CancelsItsCallerLater(ShelfBackend):
    """Has a timeout that it forgets to stop when the call is cancelled: it cancels what the caller does next."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await super().remove_session(identity, session_id)
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_soon(task.cancel)
            raise


@broken("CA-4")
class TakesBackTheCancellation(ShelfBackend):
    """Calls ``uncancel`` for a cancellation that was not its own, so that its caller's timeout does not see it."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        try:
            await super().create_session(session, ttl)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            raise


@broken("CA-5")
class ThinksItIsOpening(ShelfBackend):
    """Notes that an init has begun, so that a second one does nothing; the first may have been cancelled."""

    opening = False

    async def init(self) -> None:
        if self.opening:
            return
        self.opening = True
        await super().init()
        self.opening = False


@broken("CA-5")
class HoldsTheLockOfItsInit(ShelfBackend):
    """Opens itself under a lock that it gives back when it is open."""

    def __init__(self, shelf: Shelf, **options: Unpack[HandleOptions]) -> None:
        super().__init__(shelf, **options)
        self.gate = asyncio.Lock()

    async def init(self) -> None:
        await self.gate.acquire()
        await super().init()
        self.gate.release()


@broken("CA-5")
class DisconnectsHalf(ShelfBackend):
    """Closes its connection and then forgets it: cancelled between, init goes on with the closed one."""

    connection: Any = None
    closed = False

    async def init(self) -> None:
        if self.connection is None:
            self.connection, self.closed = object(), False
        await super().init()

    async def disconnect(self) -> None:
        if self.closed:
            return
        self.closed = True
        await self.shelf.way()
        self.connection = None
        await super().disconnect()

    async def call(self, work: Callable[[Rows], Answer]) -> Answer:
        if self.closed:
            raise StorageUnavailableError("the connection is closed")
        return await super().call(work)
