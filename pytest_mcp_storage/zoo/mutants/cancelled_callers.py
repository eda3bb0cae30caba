"""Stores whose cancelled calls reach other callers, their own caller, or the next ``init``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate, StorageUnavailableError
from reference_backends.core.base import BackendOptions

Answer = TypeVar("Answer")


@broken("CA-3")
class SharesOneAnswer(InMemoryBackend):
    """Asks once for all who read one session at a time; the cancellation of one of them is everybody's answer."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.reading: dict[tuple[str, str], asyncio.Future[SessionData | None]] = {}

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = identity, session_id
        if name not in self.reading:
            self.reading[name] = asyncio.ensure_future(super().get_session(identity, session_id))
            self.reading[name].add_done_callback(lambda _: self.reading.pop(name))
        return await self.reading[name]


@broken("CA-3")
class TheFirstWorksForAll(InMemoryBackend):
    """Collects updates for a moment and lets the first caller write them: cancelled, it fails those of the others."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
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
class ClosesTheConnectionOfAll(InMemoryBackend):
    """Sends all calls over one connection, and closes it when one is cancelled: the others lose their answers."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
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
class AnswersNothingWhenCancelled(InMemoryBackend):
    """Takes a cancelled read for one that found nothing, so that its log shows no traceback."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        try:
            return await super().get_session(identity, session_id)
        except asyncio.CancelledError:
            return None


@broken("CA-4")
class TriesAgainWhenCancelled(InMemoryBackend):
    """Catches all that goes wrong and tries again, its own cancellation too."""

    async def request(self, work: Callable[[Rows], Answer]) -> Answer:
        for _ in range(3):
            try:
                return await super().request(work)
            except (asyncio.CancelledError, StorageUnavailableError):
                continue
        return await super().request(work)


@broken("CA-4")
class CallsItAnOutage(InMemoryBackend):
    """Turns whatever interrupts a request into StorageUnavailableError, the cancellation of its caller too."""

    async def request(self, work: Callable[[Rows], Answer]) -> Answer:
        try:
            return await super().request(work)
        except asyncio.CancelledError as error:
            raise StorageUnavailableError("the store did not answer; try again") from error


@broken("CA-4")
class FailsInItsFinally(InMemoryBackend):
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
class CancelsItsCallerLater(InMemoryBackend):
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
class TakesBackTheCancellation(InMemoryBackend):
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
class ThinksItIsOpening(InMemoryBackend):
    """Notes that an init has begun, so that a second one does nothing; the first may have been cancelled."""

    opening = False

    async def init(self) -> None:
        if self.opening:
            return
        self.opening = True
        await super().init()
        self.opening = False


@broken("CA-5")
class HoldsTheLockOfItsInit(InMemoryBackend):
    """Opens itself under a lock that it gives back when it is open."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.gate = asyncio.Lock()

    async def init(self) -> None:
        await self.gate.acquire()
        await super().init()
        self.gate.release()


@broken("CA-5")
class DisconnectsHalf(InMemoryBackend):
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
        await self.store.pause()
        self.connection = None
        await super().disconnect()

    async def call(self, work: Callable[[Rows], Answer]) -> Answer:
        if self.closed:
            raise StorageUnavailableError("the connection is closed")
        return await super().call(work)
