"""Waiting for a lock that another process holds, by asking again: neither flock nor SQLite can be told a deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

LOCK_TIMEOUT = 4.0
"""Seconds that a lock is waited for."""

POLL = 0.001
"""Seconds between two attempts, on average. SQLite's own busy handler backs off to 0.1 s and so starves."""


def attempts(seconds: float) -> Iterator[None]:
    """One item for each attempt to make, at least one, until ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    yield
    while time.monotonic() < deadline:
        time.sleep(random.uniform(0.5, 1.5) * POLL)
        yield
