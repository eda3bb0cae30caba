"""Time for the suite: a clock that tests move if the store takes one, real time if it does not."""

from __future__ import annotations

import asyncio
import time


class SuiteClock:
    """A clock that starts at the real time, never goes back, and moves only when a test moves it. Seconds."""

    def __init__(self) -> None:
        self._now = time.time()

    def __call__(self) -> float:
        return self._now

    def epoch(self) -> float:
        """Return the moment in seconds since the epoch."""
        return self._now

    async def pass_time(self, seconds: float) -> None:
        """Move the clock on."""
        self._now += seconds

    def measurable(self, seconds: float) -> float:
        """Return a TTL that a test can outlive: with this clock, any."""
        return seconds


class ObservedTime:
    """The machine's time, for stores that take no clock. Seconds."""

    def __call__(self) -> float:
        return time.monotonic()

    def epoch(self) -> float:
        """Return the moment in seconds since the epoch."""
        return time.time()

    async def pass_time(self, seconds: float) -> None:
        """Wait for this long."""
        await asyncio.sleep(seconds)  # the loop's clock is monotonic too, and never wakes up early

    def measurable(self, seconds: float) -> float:
        """Return a TTL that a test can outlive: 1 to 2 seconds, with the fraction of the given one."""
        return 1 + seconds % 1
