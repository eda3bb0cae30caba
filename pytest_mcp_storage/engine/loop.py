"""The event loop of the suite: on a separate thread, independent of the user's async plugin and loop."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from pytest_mcp_storage.engine.schedule import ScheduledLoop
from pytest_mcp_storage.engine.timeouts import GRACE
from pytest_mcp_storage.engine.tracing import Tracer

Returned = TypeVar("Returned")

PULSE = 1.0
"""Seconds between two checks whether waiting still makes sense."""


def patched_by() -> str:
    """Return the library that has replaced Python's threads; empty if the threads are real.

    The suite's loop, and the stores that wait for a lock, need real threads: with others they wait for ever.
    """
    gevent: Any = sys.modules.get("gevent.monkey")
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    return "eventlet" if eventlet is not None and eventlet.is_monkey_patched("thread") else ""


class SuiteLoop:
    """An asyncio loop on a daemon thread; ``run`` blocks the caller, ``submit`` awaits from any other loop."""

    def __init__(self) -> None:
        self._loop = ScheduledLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp-storage-suite", daemon=True)
        self._thread.start()

    def run(
        self, work: Awaitable[Returned], *, limit: float = float("inf"), look: Callable[[], None] = lambda: None
    ) -> Returned:
        """Return the result of ``work``. Raise ``TimeoutError`` after ``limit`` seconds, also if the loop is blocked.

        ``look`` is called regularly in the meantime; if it raises, the waiting ends with its error.
        """
        future = asyncio.run_coroutine_threadsafe(contained(work), self._loop)
        left, end = limit, time.monotonic() + limit
        try:
            while not wait([future], timeout=min(PULSE, left)).done and left > 0:
                look()
                left = max(0, end - time.monotonic())
        finally:
            given_up = future.cancel()
        if given_up:
            _drop(work)
            raise TimeoutError(f"no result within {limit:g} s")
        return future.result()

    def is_current(self) -> bool:
        """Say whether the caller runs on this loop's thread."""
        return threading.current_thread() is self._thread

    def use_fresh_threads(self) -> None:
        """Let ``asyncio.to_thread`` start new threads: a new tracer does not follow older ones."""
        self._loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))

    def trace(self, tracer: Tracer | None, files: Iterable[Path] = ()) -> None:
        """Let the tracer follow the calls of the store, whose source is in these files; ``None``: no longer."""
        self._loop.tracer = tracer
        self._loop.traced_files = frozenset(map(str, files))

    def schedule(self, choices: Sequence[int]) -> AbstractContextManager[None]:
        """Draw the order of ready tasks from these numbers. Enter this context on this loop."""
        return self._loop.schedule(choices)

    def answers(self) -> bool:
        """Say whether the loop runs what it is given; a store may block it."""
        served = threading.Event()
        self._loop.call_soon_threadsafe(served.set)
        return served.wait(GRACE)

    async def submit(self, work: Awaitable[Returned]) -> Returned:
        """Await ``work`` on this loop from another one, asyncio's or trio's."""
        future = asyncio.run_coroutine_threadsafe(contained(work), self._loop)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return await _from_trio(future)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Cancel what is left and end the thread. A thread that a store blocks for good is abandoned."""
        if answers := self.answers():
            with suppress(TimeoutError):
                self.run(self._cancel_rest(), limit=GRACE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=GRACE if answers else 0)
        if not self._thread.is_alive():
            self._loop.close()

    async def _cancel_rest(self) -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._loop.shutdown_asyncgens()


async def contained(work: Awaitable[Returned]) -> Returned:
    """Return the result of ``work``. An exit that the store or harness asks for becomes a ``RuntimeError``.

    ``SystemExit`` would end the loop, and ``pytest.skip()`` would skip a test that was not measured.
    """
    try:
        return await work
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _drop(work: Awaitable[object]) -> None:
    """Close coroutines that a blocked loop never began; Python would warn about them as about a forgotten ``await``."""
    if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
        with suppress(ValueError):  # begun at this moment
            work.close()


async def _from_trio(future: Future[Returned]) -> Returned:
    trio: Any = import_module("trio")  # another thread runs it
    try:
        result: Returned = await trio.to_thread.run_sync(future.result, abandon_on_cancel=True)
    except trio.Cancelled:
        future.cancel()
        raise
    return result
