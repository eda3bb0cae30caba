"""How the time of an operation grows with the sessions of others: lines in a log-log plot, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_mcp_storage.speed import words
from pytest_mcp_storage.speed.result import Growth, StoreResult

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 120, 14, 40
LABEL_HEIGHT = 14


@dataclass(frozen=True)
class Tick:
    """A line of the grid: where it is drawn, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One store. ``number`` chooses colour and dashes; ``label`` is the height of its name."""

    name: str
    number: int
    dots: tuple[tuple[float, float], ...]
    label: float
    grows: bool

    @property
    def points(self) -> str:
        """The value of SVG's attribute ``points``."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.dots)


@dataclass(frozen=True)
class Plot:
    """One operation on every store."""

    operation: str
    lines: tuple[Line, ...]
    columns: tuple[Tick, ...]
    rows: tuple[Tick, ...]
    words: str
    """The plot for people who do not see it."""


def plots(stores: Sequence[StoreResult]) -> list[Plot]:
    """Return a plot for each operation whose growth was measured."""
    names = dict.fromkeys(each.operation for store in stores for each in store.growth)
    return [_plot(name, stores) for name in names]


def _plot(operation: str, stores: Sequence[StoreResult]) -> Plot:
    found: dict[int, Growth] = {
        number: each for number, store in enumerate(stores) for each in store.growth if each.operation == operation
    }
    sizes = [point.others for each in found.values() for point in each.points]
    times = [point.p10_ms for each in found.values() for point in each.points]
    columns = _decades(sizes)
    rows = _decades(times)

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * _position(size, columns)

    def y(time: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _position(time, rows)

    dots = {number: tuple((x(each.others), y(each.p10_ms)) for each in found[number].points) for number in found}
    labels = _spread({number: each[-1][1] for number, each in dots.items()})
    return Plot(
        operation,
        tuple(Line(stores[n].name, n, dots[n], labels[n], found[n].grows) for n in found),
        tuple(Tick(x(10.0**power), f"{10**power:,}") for power in range(columns[0], columns[1] + 1)),
        tuple(Tick(y(10.0**power), words.duration(10.0**power)) for power in range(rows[0], rows[1] + 1)),
        "; ".join(f"{stores[number].name}: {words.growth(each)}" for number, each in found.items()),
    )


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten that enclose the values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _position(value: float, decades: tuple[int, int]) -> float:
    low, high = decades
    return (math.log10(value) - low) / (high - low)


def _spread(heights: dict[int, float]) -> dict[int, float]:
    """Return heights for the labels, near their lines and without overlap."""
    placed: dict[int, float] = {}
    lowest = float("-inf")
    for number in sorted(heights, key=heights.__getitem__):
        lowest = placed[number] = max(heights[number], lowest + LABEL_HEIGHT)
    excess = max(0.0, lowest - (HEIGHT - BOTTOM))
    return {number: height - excess for number, height in placed.items()}
