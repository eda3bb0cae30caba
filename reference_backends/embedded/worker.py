"""A thread of a store's own, which answers calls from any event loop and lets concurrent writers share one commit.

Whatever waits when the thread becomes free is one batch: its reads are answered first, then its writes run inside
one ``writing()`` of the engine, and each writer is answered once that has ended, durably or not. All calls of a batch
are concurrent, so any order among them is a legal one (CO-3).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from reference_backends.core.errors import StorageError, StorageSetupError, StorageUnavailableError
from reference_backends.embedded.polling import LOCK_TIMEOUT

TIME_LIMIT = 2 * LOCK_TIMEOUT + 2
"""Seconds after which a call of one session gives up: it may wait for a batch before its own."""

STORE_TIME_LIMIT = 120.0
"""Seconds for a call that goes through the whole store."""

Result = TypeVar("Result")
Scope = Callable[[], AbstractContextManager[None]]


class Scopes(Protocol):
    """What jobs run inside. Both turn the errors of the store into :class:`StorageError`."""

    def reading(self) -> AbstractContextManager[None]:
        """Around each read."""

    def writing(self) -> AbstractContextManager[None]:
        """Around all writes of a batch: they are kept together, durably, or not at all."""

    def close(self) -> None:
        """Let go of the store."""


class _Call:
    """A job, and the future of whoever waits for it."""

    __slots__ = ("_error", "_future", "_result", "job", "loop", "scope")

    def __init__(self, job: Callable[[], Any], scope: Scope) -> None:
        self.job = job
        self.scope = scope
        self.loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self.loop.create_future()
        self._result: Any = None
        self._error: Exception | None = None

    async def answer(self, limit: float) -> Any:
        timer = self.loop.call_later(limit, self._expire)
        try:
            return await self._future
        finally:
            timer.cancel()

    @property
    def abandoned(self) -> bool:
        """Whether its caller was cancelled or gave up: a job that has not begun then never does."""
        return self._future.done()

    def run(self) -> None:
        """Do the job. A :class:`StorageError` is this call's answer; any other error ends the whole batch."""
        try:
            self._result = self.job()
        except StorageError as error:
            self._error = error

    def fail(self, error: Exception) -> None:
        """Fail with the error of the batch: a copy, since an exception raised twice mixes up its tracebacks."""
        if isinstance(error, (StorageUnavailableError, StorageSetupError)):
            self._error = type(error)(str(error))
            self._error.__cause__ = error.__cause__
        else:
            self._error = error

    def settle(self) -> None:
        if self._future.done():
            return
        if self._error is None:
            self._future.set_result(self._result)
        else:
            self._future.set_exception(self._error)

    def _expire(self) -> None:
        if not self._future.done():
            self._future.set_exception(
                StorageUnavailableError("the store did not answer in time; the call may or may not have been done")
            )


class Worker:
    """The thread of one handle. It holds the engine and never the handle, so a forgotten handle ends its thread."""

    def __init__(self, engine: Scopes, name: str) -> None:
        self._engine = engine
        self._reading: Scope = engine.reading
        self._writing: Scope = engine.writing
        self._queue: SimpleQueue[_Call | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._ended = False
        self._last: _Call | None = None
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def open(self, job: Callable[[], Result], limit: float = STORE_TIME_LIMIT) -> Result:
        """Run a job outside both scopes."""
        return await self._ask(job, nullcontext, limit)

    async def read(self, job: Callable[[], Result], limit: float = TIME_LIMIT) -> Result:
        """Run a job inside ``reading()``. Raises :class:`StorageUnavailableError` after ``limit`` seconds."""
        return await self._ask(job, self._reading, limit)

    async def write(self, job: Callable[[], Result], limit: float = TIME_LIMIT) -> Result:
        """Run a job inside ``writing()``, with those that wait beside it."""
        return await self._ask(job, self._writing, limit)

    async def close(self) -> None:
        """Finish what waits, close the engine, end the thread."""
        last = _Call(lambda: None, nullcontext)
        if self.end(last):
            await last.answer(STORE_TIME_LIMIT)

    def end(self, last: _Call | None = None) -> bool:
        """Ask the thread to close the engine and end; waits for nothing. False where it was asked before."""
        if self._is_inherited:
            return False
        with self._guard:
            if self._ended:
                return False
            self._ended = True
            self._last = last
            self._queue.put(None)
        return True

    @property
    def _is_inherited(self) -> bool:
        """Whether this process is a child, without the thread, and perhaps with a guard that nobody lets go of."""
        return self._process != os.getpid()

    async def _ask(self, job: Callable[[], Result], scope: Scope, limit: float) -> Result:
        call = _Call(job, scope)
        if self._is_inherited:
            raise StorageError("this store was opened before the process forked; open one in this process")
        with self._guard:
            if self._ended:
                raise StorageError("this store was disconnected; await init() first")
            self._queue.put(call)
        answer: Result = await call.answer(limit)
        return answer

    def _serve(self) -> None:
        ending = False
        while not ending:
            batch = []
            waiting = self._queue.get()
            while waiting is not None:
                batch.append(waiting)
                try:
                    waiting = self._queue.get_nowait()
                except Empty:
                    break
            else:
                ending = True
            self._answer(batch)
            del batch[:]
            waiting = None
        try:
            self._engine.close()
        finally:
            if self._last is not None:
                _deliver([self._last])

    def _answer(self, batch: list[_Call]) -> None:
        wanted = [call for call in batch if not call.abandoned]
        reads = [call for call in wanted if call.scope is not self._writing]
        writes = [call for call in wanted if call.scope is self._writing]
        outage: StorageUnavailableError | None = None
        if reads:
            for call in reads:
                outage = _run([call], outage)
            _deliver(reads)
        if writes:
            _run(writes, outage)
            _deliver(writes)


def _run(calls: list[_Call], outage: StorageUnavailableError | None) -> StorageUnavailableError | None:
    """Run calls inside their common scope; once the store proved unavailable, the rest of the batch is told at once."""
    failure: Exception | None = outage
    if outage is None:
        try:
            with calls[0].scope():
                for call in calls:
                    call.run()
        except Exception as error:  # the thread must outlive any job
            failure = error
    if failure is not None:
        for call in calls:
            call.fail(failure)
    return failure if isinstance(failure, StorageUnavailableError) else None


def _deliver(calls: list[_Call]) -> None:
    """Hand out the answers, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Call]] = {}
    for call in calls:
        by_loop.setdefault(call.loop, []).append(call)
    for loop, its_calls in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, its_calls)
        except RuntimeError:  # that loop is closed: nobody waits any more
            continue


def _settle(calls: list[_Call]) -> None:
    for call in calls:
        call.settle()
