"""The bench: one backend's harness, provisioned once for a process, with the time and the loop that go with it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.harness import BackendHarness
from pytest_mcp_storage.measuring.clock import ObservedTime, SuiteClock
from pytest_mcp_storage.measuring.handles import check_backend, check_capabilities
from pytest_mcp_storage.measuring.loop import SuiteLoop

Returned = TypeVar("Returned")

SLOW_CALL = 0.002
"""Seconds; a store whose calls take longer gets fewer examples, so that a run ends in bearable time."""
FEWEST = 0.2
"""The share of the examples that even the slowest store gets."""
LONGEST_OPENING = 60.0
"""Seconds after which the first ``open`` or its ``disconnect`` counts as one that never returns."""
LONGEST_END = 600.0
"""Seconds after which a harness that destroys its store is no longer waited for."""


class Bench:
    """A provisioned harness. ``make`` builds further, empty stores of the same kind."""

    def __init__(self, name: str, make: Callable[[], BackendHarness], loop: SuiteLoop) -> None:
        self.name = name
        self.make = make
        self.loop = loop
        self.harness = make()
        self.time: SuiteClock | ObservedTime = ObservedTime()
        self.pace = 1.0
        """The share of a tier's examples that this store gets; 1 for a fast one."""
        self.hung = False
        """Whether the store has let go of nothing for so long that it is no use to ask it more."""

    def start(self) -> None:
        """Provision the store and open it once. Whatever that raises is passed on, and leaves no store behind."""
        self.loop.run(self.harness.__aenter__())
        try:
            check_capabilities(self.harness.capabilities)
            self.loop.run(self._first_handle(), limit=3 * LONGEST_OPENING)
        except BaseException:
            with suppress(Exception):
                self.stop()
            raise

    def stop(self) -> None:
        """Destroy the store."""
        self.loop.run(self.harness.__aexit__(None, None, None), limit=LONGEST_END)

    async def _first_handle(self) -> None:
        if Capability.CLOCK in self.harness.capabilities:
            self.time = SuiteClock()
        handle = await _in_time("open()", self.harness.open())
        check_backend(handle, "open()")
        try:
            seconds = []
            for _ in range(5):
                start = time.perf_counter()
                with suppress(Exception):  # whether it may raise is for the clauses to say
                    await handle.get_session("mcp-storage-pace", "none")
                seconds.append(time.perf_counter() - start)
        finally:
            await _in_time("disconnect()", handle.disconnect())
        self.pace = max(FEWEST, min(1.0, SLOW_CALL / max(statistics.median(seconds), 1e-9)))


async def _in_time(name: str, call: Awaitable[Returned]) -> Returned:
    deadline = asyncio.timeout(LONGEST_OPENING)
    try:
        async with deadline:
            return await call
    except TimeoutError:
        if deadline.expired():
            raise TimeoutError(f"{name} did not return within {LONGEST_OPENING:g} s") from None
        raise
