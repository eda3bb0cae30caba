"""Wait for a lock of another process by trying again: neither flock nor SQLite takes a fair timeout."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

LOCK_TIMEOUT = 4.0
"""Seconds to wait for a lock."""

POLL = 0.001
"""Average seconds between two attempts. SQLite's own busy handler waits up to 0.1 s, so it starves."""


def attempts(seconds: float) -> Iterator[None]:
    """Yield once for each attempt, at least once, until ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    yield
    while time.monotonic() < deadline:
        time.sleep(random.uniform(0.5, 1.5) * POLL)
        yield
