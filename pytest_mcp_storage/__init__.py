"""The conformance suite for MCP session stores. Names are loaded when they are first used: pytest imports this."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.capabilities import Capability
    from pytest_mcp_storage.clauses import Clause, Level, load_clauses
    from pytest_mcp_storage.harness import BackendHarness, NotMeasurable
    from pytest_mcp_storage.outcome import Outcome

_HOMES = {
    "BackendHarness": "harness",
    "Capability": "capabilities",
    "Clause": "clauses",
    "Level": "clauses",
    "NotMeasurable": "harness",
    "Outcome": "outcome",
    "load_clauses": "clauses",
}

__all__ = ["BackendHarness", "Capability", "Clause", "Level", "NotMeasurable", "Outcome", "load_clauses"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
