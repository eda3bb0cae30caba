"""The event loop that the suite owns: on a thread of its own, whatever async plugin or loop the user has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as Overdue
from typing import Any, TypeVar

Returned = TypeVar("Returned")


class SuiteLoop:
    """An asyncio loop on a daemon thread; ``run`` blocks the caller, ``submit`` awaits from any other loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp-storage-suite", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Returned], *, limit: float | None = None) -> Returned:
        """The coroutine's result. Raises ``TimeoutError`` after ``limit`` seconds, also where the loop is blocked."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(limit)
        except Overdue:
            if future.done():
                raise  # the coroutine's own TimeoutError
            future.cancel()
            raise TimeoutError(f"nothing came back within {limit} s") from None
        except BaseException:
            future.cancel()
            raise

    async def submit(self, coroutine: Coroutine[Any, Any, Returned]) -> Returned:
        """Await the coroutine on this loop from another one."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    def close(self) -> None:
        """Cancel what is left and end the thread."""
        self.run(self._cancel_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._loop.close()

    async def _cancel_rest(self) -> None:
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
