"""The thread of a store. It runs calls from any event loop, and concurrent writes share one commit.

The calls that wait when the thread becomes free are one batch. First its reads run and return. Then its writes run
inside one ``writing()`` of the engine, and return when that has ended, with success or an error. All calls of a batch
are concurrent, so they may run in any order (CO-3).
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
"""Seconds after which a call on one session fails. It may wait for the batch before its own."""

STORE_TIME_LIMIT = 120.0
"""Seconds after which a call on the whole store fails."""

Result = TypeVar("Result")
Scope = Callable[[], AbstractContextManager[None]]


class Scopes(Protocol):
    """The contexts that jobs run inside. Both turn the errors of the store into :class:`StorageError`."""

    def reading(self) -> AbstractContextManager[None]:
        """Return the context of one read."""

    def writing(self) -> AbstractContextManager[None]:
        """Return the context of all writes of a batch. They are stored together, durably, or not at all."""

    def close(self) -> None:
        """Close the store."""


class _Call:
    """A job, and the future that its caller awaits."""

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
        """Whether the caller was cancelled or timed out. If the job has not begun by then, it never runs."""
        return self._future.done()

    def run(self) -> None:
        """Run the job. A :class:`StorageError` fails this call only; any other error fails the whole batch."""
        try:
            self._result = self.job()
        except StorageError as error:
            self._error = error

    def fail(self, error: Exception) -> None:
        """Fail with a copy of the batch's error. One exception raised twice would mix the tracebacks."""
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
                StorageUnavailableError("the store did not answer in time; a write may or may not have been done")
            )


class Worker:
    """The thread of one handle.

    It references the engine but not the handle, so the thread ends when the handle is garbage-collected.
    """

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
        """Run a job inside ``reading()``. Raise :class:`StorageUnavailableError` after ``limit`` seconds."""
        return await self._ask(job, self._reading, limit)

    async def write(self, job: Callable[[], Result], limit: float = TIME_LIMIT) -> Result:
        """Run a job inside ``writing()``, together with the other writes of its batch."""
        return await self._ask(job, self._writing, limit)

    async def close(self) -> None:
        """Finish the waiting calls, close the engine, end the thread."""
        last = _Call(lambda: None, nullcontext)
        if self.end(last):
            await last.answer(STORE_TIME_LIMIT)

    def end(self, last: _Call | None = None) -> bool:
        """Ask the thread to close the engine and to end, without waiting. Return False if it was asked before."""
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
        """Whether this process is a child of a fork: it has no such thread, and the guard may be locked forever."""
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
    """Run calls inside their common scope. After an outage the rest of the batch fails without a further attempt."""
    failure: Exception | None = outage
    if outage is None:
        try:
            with calls[0].scope():
                for call in calls:
                    call.run()
        except Exception as error:  # a failing job must not end the thread
            failure = error
    if failure is not None:
        for call in calls:
            call.fail(failure)
    return failure if isinstance(failure, StorageUnavailableError) else None


def _deliver(calls: list[_Call]) -> None:
    """Return the results to the callers. Wake each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Call]] = {}
    for call in calls:
        by_loop.setdefault(call.loop, []).append(call)
    for loop, its_calls in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, its_calls)
        except RuntimeError:  # that loop is closed, so no caller waits any more
            continue


def _settle(calls: list[_Call]) -> None:
    for call in calls:
        call.settle()
