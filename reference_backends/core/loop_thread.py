"""An event loop on a thread of its own, which answers calls from any event loop and any thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from reference_backends.core.errors import StorageError

Result = TypeVar("Result")

FAREWELL_LIMIT = 2.0
"""Seconds that the farewell may take when the interpreter ends."""


class LoopThread:
    """The loop, started by the first call. ``farewell`` runs on it when the interpreter ends, to leave nothing open.

    It belongs to one process: a child of a fork must make another.
    """

    def __init__(self, farewell: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._farewell = farewell
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._ended = False

    async def answer(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a call on the loop and await its answer; cancelling the one cancels the other.

        Raises :class:`StorageError` once the interpreter is ending.
        """
        loop = self._running()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), loop))

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._ended:
                raise StorageError("the interpreter is ending: nothing can be stored any more")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="mcp-storage loop", daemon=True)
                self._thread.start()
                atexit.register(self._end)
            return self._loop

    def _end(self) -> None:
        if self._loop is None or self._thread is None or self._process != os.getpid():
            return  # a child inherits the wish to end, and not the thread
        with self._starting:
            self._ended = True
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._leave_nothing_open(), self._loop).result(FAREWELL_LIMIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(FAREWELL_LIMIT)
        if not self._thread.is_alive():
            self._loop.close()

    async def _leave_nothing_open(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._farewell()
