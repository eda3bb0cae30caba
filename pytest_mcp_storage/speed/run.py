"""All stores in one run. They are timed in turns, so that a busy machine slows all alike."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

from pytest_mcp_storage.speed.operations import OPERATIONS
from pytest_mcp_storage.speed.result import BenchResult
from pytest_mcp_storage.speed.store import Store

CALLERS = (1, 16)
TURNS = 2
"""How often each operation is timed on each store."""
SPEED_SHARE = 0.45
"""The share of the time in which the operations are timed; growth gets the rest."""
PREPARED = 1.6
"""How much longer than the timed calls an operation takes, with its preparation."""
MANY_SHARE = 0.1
"""The share of a store's time in which it may create the identity with many sessions."""
NAMED_WEIGHT = 3
"""How much more of the growth's time a named store gets than one to compare with."""
SHORTEST = 0.02
"""Seconds for which an operation is timed at least."""

STEPS_OF_A_STORE = 3 + len(OPERATIONS) * len(CALLERS) * TURNS
"""How often ``step`` is called for each store."""


def bench(stores: Sequence[Store], seconds: float, step: Callable[[str], None] = lambda text: None) -> BenchResult:
    """Measure the stores within about ``seconds``. ``step`` gets a line before each step."""
    end = time.monotonic() + seconds
    try:
        for store in stores:
            step(f"start {store.result.name}")
            store.start()
        _time_operations(stores, end - time.monotonic(), step)
        weights = [1 if store.result.compared else NAMED_WEIGHT for store in stores]
        for number, store in enumerate(stores):
            step(f"fill {store.result.name}")
            share = weights[number] / sum(weights[number:])
            store.grow(max(SHORTEST * seconds, share * (end - time.monotonic())))
    finally:
        for store in stores:
            store.stop()
    return BenchResult(
        suite=f"pytest-mcp-storage {version('pytest-mcp-storage')}",
        when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=machine(),
        seconds=seconds,
        stores=[store.result for store in stores],
    )


def _time_operations(stores: Sequence[Store], seconds: float, step: Callable[[str], None]) -> None:
    """Time each operation at least once on each store; the other turns end when the time is over."""
    end = time.monotonic() + SPEED_SHARE * seconds
    ready = sum(store.ready for store in stores) or 1
    for store in stores:
        step(f"create sessions in {store.result.name}")
        store.create_many(MANY_SHARE * seconds / ready)
    todo = [
        (operation, callers, store)
        for _ in range(TURNS)
        for operation in OPERATIONS
        for callers in CALLERS
        for store in stores
    ]
    for number, (operation, callers, store) in enumerate(todo):
        step(f"{operation.name} · {callers} at once · {store.result.name}")
        left = end - time.monotonic()
        if left > 0 or number < len(todo) / TURNS:
            store.time(operation, callers, max(SHORTEST, left / (len(todo) - number) / PREPARED))
    for store in stores:
        store.remove_many()


def machine() -> str:
    """Return what the figures depend on: Python, the machine, and how busy it is."""
    parts = [
        f"Python {platform.python_version()}",
        f"{platform.system()} {platform.machine()}",
        f"{os.cpu_count()} CPUs",
    ]
    if hasattr(os, "getloadavg"):
        parts.append(f"load {os.getloadavg()[0]:.1f}")
    return ", ".join(parts)
