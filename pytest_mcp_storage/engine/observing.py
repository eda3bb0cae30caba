"""What an observer of every test reports: a clause that a test of another clause has seen broken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple


class Observation(NamedTuple):
    """A clause, what was seen, and what the store should do."""

    clause: str
    seen: str
    should: str


Observer = Callable[[Any], Awaitable[list[Observation]]]
"""Called with the test's context after each test that passed, before its sessions are removed."""
