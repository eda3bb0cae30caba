"""Time calls: one after another, or by several callers at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_mcp_storage.speed.connects import connects
from pytest_mcp_storage.speed.operations import Call, Operation
from pytest_mcp_storage.speed.subject import Subject

CALL_LIMIT = 30.0
"""Seconds after which calls that were started together count as calls that never return."""
LARGEST_CHUNK = 4096
CHUNKS = 4
"""The smallest number of chunks into which the time is divided."""
WITH_PREPARATION = 2.5
"""Preparation included, an operation takes at most this multiple of its time."""


@dataclass
class Sample:
    """What the calls of one operation took, in seconds."""

    latencies: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    connections: int = 0
    chunk: int = 0
    """How many calls were prepared last, at a time."""


async def sample(subject: Subject, operation: Operation, callers: int, seconds: float, into: Sample) -> None:
    """Time an operation for about ``seconds``, and at least one chunk of calls."""
    size = into.chunk or callers
    begin, measured = time.perf_counter(), 0.0
    while True:
        prepared = await operation.prepare(subject, size, callers)
        with connects() as opened:
            elapsed = await _timed(prepared.calls, callers, into.latencies)
        into.connections += len(opened)
        into.elapsed += elapsed
        into.chunk = size
        measured += elapsed
        await prepared.after()
        if measured >= seconds or time.perf_counter() - begin >= WITH_PREPARATION * seconds:
            return
        if elapsed < seconds / CHUNKS / 2:
            size = min(2 * size, LARGEST_CHUNK)


async def _timed(calls: Sequence[Call], callers: int, latencies: list[float]) -> float:
    """Return the seconds that all calls took together; add what each took to ``latencies``."""
    left = iter(calls)

    async def caller() -> None:
        for call in left:
            start = time.perf_counter()
            await call()
            latencies.append(time.perf_counter() - start)

    start = time.perf_counter()
    async with asyncio.timeout(CALL_LIMIT):
        await asyncio.gather(*(caller() for _ in range(callers)))
    return time.perf_counter() - start
