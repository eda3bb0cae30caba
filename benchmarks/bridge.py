"""The time that the bridge adds to a call, and its start time: ``python benchmarks/bridge.py``. Needs Node.

Each round alternates the same calls in this process (``MemoryStorageBackend``) and through the bridge to a minimal
store in Node. The figure is the median of the differences. The limit is for one call at a time: 100 µs more than in
this process. Most of that is the two switches between processes, which depend on the machine: an idle virtual machine
takes longest to wake up. So the benchmark also times an echo: a line of the same length to Node and back.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import time
from itertools import count
from pathlib import Path

from paired import Work
from sample import session

from pytest_mcp_storage.bridge.child import Child
from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.bridge.mcp_ts.memory import McpTsMemory
from reference_backends import MemoryStorageBackend, StorageBackend

BAR_US = 100.0
START_BAR_S = 0.3
ROUNDS = 25
CHUNK = 200

LEAST = StdioHarness.of(["node", str(Path(__file__).parent / "memory_bridge.mjs")])
EXAMPLE = StdioHarness.of(
    [sys.executable, str(Path(__file__).parents[1] / "pytest_mcp_storage" / "bridge" / "examples" / "memory_bridge.py")]
)


class Echo:
    """Sends a line to Node, and awaits the same line: the minimum for any bridge."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.Future()
        self.child = Child(
            ["node", "-e", "process.stdin.on('data', (chunk) => require('fs').writeSync(1, chunk))"],
            on_line=lambda line: self.answer.set_result(line),
            on_end=lambda rest: None,
            on_overlong=lambda: None,
            longest_line=2**16,
        )
        self.child.follow(asyncio.get_running_loop())

    async def once(self, number: int) -> None:
        self.answer = asyncio.Future()
        self.child.send(b'{"id":%d,"call":"getSession","identity":"alice","sessionId":"session-1"}\n' % number)
        await self.answer


async def nothing(number: int) -> None:
    """Do nothing; an echo is compared with this."""


async def added(title: str, through: Work, inside: Work, *, bar: float | None, callers: int = 1) -> bool:
    """Print the time that the bridge adds to a call; return whether it is within the limit."""
    numbers = count()
    there: list[float] = []
    here: list[float] = []
    for round_ in range(ROUNDS + 1):
        for work, times in ((through, there), (inside, here))[:: 1 if round_ % 2 else -1]:
            mine = iter([next(numbers) for _ in range(CHUNK)])

            async def caller(work: Work = work, mine: object = mine) -> None:
                for number in mine:  # type: ignore[attr-defined]
                    await work(number)

            start = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(callers)))
            times.append((time.perf_counter() - start) / CHUNK * 1e6)
    more = statistics.median(a - b for a, b in zip(there[1:], here[1:], strict=True))
    holds = bar is None or more <= bar
    verdict = "" if bar is None else f"  bar ≤ {bar:g} µs  {'holds' if holds else 'DOES NOT HOLD'}"
    print(f"{title:<52}{statistics.median(there[1:]):8.1f} µs, adds {more:7.1f} µs{verdict}")
    return holds


async def calls(title: str, far: StorageBackend, *, bar: float | None) -> bool:
    near = MemoryStorageBackend()
    await near.init()
    sessions = [session(f"session{number}") for number in range((ROUNDS + 1) * CHUNK * 2)]
    for backend in (near, far):
        await backend.create_session(session("session-1"))

    def create(backend: StorageBackend) -> Work:
        return lambda number: backend.create_session(sessions[number])

    def read(backend: StorageBackend) -> Work:
        return lambda number: backend.get_session("alice", "session-1")

    kept = [
        await added(f"{title}: create", create(far), create(near), bar=bar),
        await added(f"{title}: read", read(far), read(near), bar=bar),
        await added(f"{title}: read, 16 in flight", read(far), read(near), bar=bar, callers=16),
    ]
    return all(kept)


async def start(title: str, made: type[StdioHarness]) -> bool:
    """Print the time from the bridge's start to its first handle."""
    seconds = []
    for _ in range(8):
        begin = time.perf_counter()
        async with made() as harness:
            await harness.open()
            seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds[1:])
    holds = median <= START_BAR_S
    print(f"{title:<52}{median:8.3f} s   bar ≤ {START_BAR_S:g} s  {'holds' if holds else 'DOES NOT HOLD'}")
    return holds


async def main() -> int:
    kept = []
    echo = Echo()
    await added("Node: the bare echo of a line", echo.once, nothing, bar=None)
    echo.child.end(5)
    async with LEAST() as harness:
        kept.append(await calls("Node", await harness.open(), bar=BAR_US))
    async with EXAMPLE() as harness:
        kept.append(await calls("Python, the one-file bridge", await harness.open(), bar=None))
    kept.append(await start("start: Node", LEAST))
    kept.append(await start("start: Python, the one-file bridge", EXAMPLE))
    kept.append(await start("start: @mcp-ts/sdk in memory, its import included", McpTsMemory))
    return int(not all(kept))


if __name__ == "__main__":
    logging.disable()
    sys.exit(asyncio.run(main()))
