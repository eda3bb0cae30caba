"""What was measured, as data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_mcp_storage.speed.timing import Sample

GROWTH, GROWTH_FACTOR = 0.2, 3.0
"""An operation grows if its exponent is at least the one and its time has grown at least by the other."""
FEWEST_SIZES = 8.0
"""The factor between the smallest and the largest size from which growth is judged."""
RECONNECTS = 0.5
"""Connections a call from which a store counts as one that connects for each call."""


@dataclass(frozen=True)
class Speed:
    """One operation by one number of callers. Times are in milliseconds."""

    operation: str
    callers: int
    calls: int
    per_second: float
    p50_ms: float
    p99_ms: float
    connections: float
    """How many connections a call opens."""

    @classmethod
    def of(cls, operation: str, callers: int, sample: Sample) -> Speed:
        """Return the percentiles and the rate of a sample."""
        times = sorted(sample.latencies)
        return cls(
            operation,
            callers,
            len(times),
            len(times) / sample.elapsed,
            1000 * percentile(times, 0.5),
            1000 * percentile(times, 0.99),
            sample.connections / len(times),
        )


@dataclass(frozen=True)
class Point:
    """The time of an operation in milliseconds, among this many sessions of others.

    It is the 10th percentile: a scan slows every call, and a busy machine only some.
    """

    others: int
    p10_ms: float


@dataclass(frozen=True)
class Growth:
    """How the time of an operation depends on the sessions of others."""

    operation: str
    points: tuple[Point, ...]

    @property
    def sizes(self) -> float:
        """The factor between the smallest and the largest number of sessions."""
        return self.points[-1].others / self.points[0].others if self.points else 1.0

    @property
    def factor(self) -> float:
        """The factor between the times at these two."""
        return self.points[-1].p10_ms / self.points[0].p10_ms if self.points else 1.0

    @property
    def exponent(self) -> float | None:
        """0: the time does not depend on the sessions of others; 1: it is proportional. ``None``: too few sizes."""
        return math.log(self.factor) / math.log(self.sizes) if self.sizes >= FEWEST_SIZES else None

    @property
    def grows(self) -> bool:
        """Whether it grows more than an index and a busy machine explain."""
        return self.exponent is not None and self.exponent >= GROWTH and self.factor >= GROWTH_FACTOR


@dataclass
class StoreResult:
    """One store. ``refused``: why nothing could be measured; ``notes``: what was left out, and why."""

    name: str
    harness: str = ""
    version: str = ""
    compared: bool = False
    """Whether it was measured only for comparison."""
    speeds: list[Speed] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: str = ""

    def speed(self, operation: str, callers: int) -> Speed | None:
        """Return one measurement; ``None`` if there is none."""
        return next((each for each in self.speeds if (each.operation, each.callers) == (operation, callers)), None)

    @property
    def reconnecting(self) -> list[Speed]:
        """The operations of a single caller that connect for each call."""
        return [each for each in self.speeds if each.callers == 1 and each.connections >= RECONNECTS]

    def to_json(self) -> dict[str, Any]:
        """Return JSON data, with what follows from the measurements."""
        growth = [
            {**asdict(each), "exponent": each.exponent, "sizes": each.sizes, "factor": each.factor, "grows": each.grows}
            for each in self.growth
        ]
        return {**asdict(self), "growth": growth, "reconnects": [each.operation for each in self.reconnecting]}


@dataclass
class BenchResult:
    """One run."""

    suite: str
    when: str
    machine: str
    seconds: float
    stores: list[StoreResult]

    def to_json(self) -> dict[str, Any]:
        """Return JSON data."""
        return {**asdict(self), "stores": [store.to_json() for store in self.stores]}


def percentile(ordered: list[float], share: float) -> float:
    """Return the value that this share of the ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]
