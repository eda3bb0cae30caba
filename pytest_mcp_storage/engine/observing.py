"""What an observer of every test reports: a clause that a test of another clause has seen broken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.context import TestContext


class Observation(NamedTuple):
    """A clause, what was seen, and what the store should do."""

    clause: str
    seen: str
    should: str


Observer = Callable[["TestContext"], Awaitable[list[Observation]]]
"""Called after each test that passed, before its sessions are removed."""
