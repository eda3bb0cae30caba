"""An event loop on a separate thread, which runs calls from any event loop and any thread."""

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

SHUTDOWN_LIMIT = 2.0
"""Seconds that ``close`` may take when the interpreter ends."""


class LoopThread:
    """The event loop and its thread, started by the first call. ``close`` runs on it when the interpreter ends.

    It belongs to one process: a child of a fork must make a new one.
    """

    def __init__(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._close = close
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._ended = False

    async def run(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a call on the loop and return its result. If the caller is cancelled, so is the call.

        Raise :class:`StorageError` while the interpreter is ending.
        """
        loop = self._running()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), loop))

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._ended:
                raise StorageError("the interpreter is ending; call the store before that, not from an exit handler")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="mcp-storage loop", daemon=True)
                self._thread.start()
                atexit.register(self._end)
            return self._loop

    def _end(self) -> None:
        if self._loop is None or self._thread is None or self._process != os.getpid():
            return  # a child of a fork inherits this exit handler but not the thread
        with self._starting:
            self._ended = True
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result(SHUTDOWN_LIMIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SHUTDOWN_LIMIT)
        if not self._thread.is_alive():
            self._loop.close()

    async def _shut_down(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._close()
