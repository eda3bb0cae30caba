"""Time, as the suite sees it: moved by hand where the store takes a clock, waited for where it does not."""

from __future__ import annotations

import asyncio
import time


class SuiteClock:
    """A clock that starts at the real time, never goes back, and moves only when it is told to. Seconds."""

    def __init__(self) -> None:
        self._now = time.time()

    def __call__(self) -> float:
        return self._now

    async def pass_time(self, seconds: float) -> None:
        """Move it on."""
        self._now += seconds

    def measurable(self, seconds: float) -> float:
        """A TTL that a test can outlive: any."""
        return seconds


class ObservedTime:
    """The machine's time, for stores that take no clock. Seconds."""

    def __call__(self) -> float:
        return time.monotonic()

    async def pass_time(self, seconds: float) -> None:
        """Wait for so long."""
        await asyncio.sleep(seconds)  # the loop's clock is monotonic too, and never wakes early

    def measurable(self, seconds: float) -> float:
        """A TTL that a test can outlive: 1 to 2 seconds, by the given one's fraction."""
        return 1 + seconds % 1
