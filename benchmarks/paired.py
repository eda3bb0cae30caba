"""Two ways to do the same work, timed alternately in one run, so that a busy machine slows both equally."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count

Work = Callable[[int], Awaitable[object]]
"""Does one piece of work; each call gets a new number."""


@dataclass(frozen=True)
class Pair:
    """Median times of one piece of work in microseconds, and the median of the rounds' ratios."""

    title: str
    ours_us: float
    theirs_us: float
    ratio: float
    bar: float | None
    at_most: bool

    @property
    def holds(self) -> bool:
        if self.bar is None:
            return True
        return self.ratio <= self.bar if self.at_most else self.ratio >= self.bar

    def __str__(self) -> str:
        bar = "" if self.bar is None else f"  bar {'≤' if self.at_most else '≥'} {self.bar:g}"
        verdict = "" if self.bar is None else "  holds" if self.holds else "  DOES NOT HOLD"
        times = f"{self.ours_us:9.1f} µs {self.theirs_us:9.1f} µs"
        return f"{self.title:<66}{times}  ratio {self.ratio:5.2f}{bar}{verdict}"


async def paired(
    title: str,
    ours: Work,
    theirs: Work,
    *,
    bar: float | None = None,
    at_most: bool = False,
    callers: int = 1,
    chunk: int = 20,
    rounds: int = 25,
) -> Pair:
    """Time ``chunk`` pieces of each alternately, ``rounds`` times, after one round that does not count.

    The ratio is the speed of ``ours`` relative to ``theirs``; with ``at_most`` it is the time relative to ``theirs``.
    """
    numbers = count()
    ours_times, theirs_times = [], []
    for round_ in range(rounds + 1):
        times = {}
        for work in (ours, theirs) if round_ % 2 else (theirs, ours):
            times[work] = await _seconds(work, numbers, chunk, callers)
        if round_:
            ours_times.append(times[ours] / chunk * 1e6)
            theirs_times.append(times[theirs] / chunk * 1e6)
    ratios = [a / b if at_most else b / a for a, b in zip(ours_times, theirs_times, strict=True)]
    return Pair(
        title,
        statistics.median(ours_times),
        statistics.median(theirs_times),
        statistics.median(ratios),
        bar,
        at_most,
    )


async def _seconds(work: Work, numbers: Iterator[int], chunk: int, callers: int) -> float:
    mine = iter([next(numbers) for _ in range(chunk)])

    async def caller() -> None:
        for number in mine:
            await work(number)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return time.perf_counter() - start


def report(pairs: list[Pair]) -> int:
    """Return the exit code: 1 if a limit is exceeded."""
    return int(not all(pair.holds for pair in pairs))
