"""The event loop that the suite owns: on a thread of its own, whatever async plugin or loop the user has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from concurrent.futures import TimeoutError as Overdue
from contextlib import suppress
from typing import TypeVar

Returned = TypeVar("Returned")


class SuiteLoop:
    """An asyncio loop on a daemon thread; ``run`` blocks the caller, ``submit`` awaits from any other loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp-storage-suite", daemon=True)
        self._thread.start()

    def run(self, work: Awaitable[Returned], *, limit: float | None = None) -> Returned:
        """The result of ``work``. Raises ``TimeoutError`` after ``limit`` seconds, also where the loop is blocked."""
        future = asyncio.run_coroutine_threadsafe(contained(work), self._loop)
        try:
            return future.result(limit)
        except Overdue:
            if future.done():
                raise  # the work's own TimeoutError
            future.cancel()
            raise TimeoutError(f"nothing came back within {limit} s") from None
        except BaseException:
            future.cancel()
            raise

    async def submit(self, work: Awaitable[Returned]) -> Returned:
        """Await ``work`` on this loop from another one."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(contained(work), self._loop))

    def close(self) -> None:
        """Cancel what is left and end the thread; one that a store has blocked for good is left behind."""
        with suppress(TimeoutError):
            self.run(self._cancel_rest(), limit=5)
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


async def contained(work: Awaitable[Returned]) -> Returned:
    """The result of ``work``. A store's or harness's call for the end of the process is a ``RuntimeError``.

    ``SystemExit`` would end the loop, and ``pytest.skip()`` would skip a test that nobody has measured.
    """
    try:
        return await work
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
