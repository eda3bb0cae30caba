"""The conformance suite for MCP session stores. Names are loaded when they are first used: pytest imports this."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.from_code import Judgement, NotConformantError, judge, judge_sync
    from pytest_mcp_storage.spec.capabilities import Capability
    from pytest_mcp_storage.spec.clauses import Clause, Level, load_clauses
    from pytest_mcp_storage.spec.harness import BackendHarness, NotMeasurable
    from pytest_mcp_storage.spec.outcome import Outcome

_HOMES = {
    "BackendHarness": "spec.harness",
    "Capability": "spec.capabilities",
    "Clause": "spec.clauses",
    "Judgement": "from_code",
    "Level": "spec.clauses",
    "NotConformantError": "from_code",
    "NotMeasurable": "spec.harness",
    "Outcome": "spec.outcome",
    "judge": "from_code",
    "judge_sync": "from_code",
    "load_clauses": "spec.clauses",
}

__all__ = [
    "BackendHarness",
    "Capability",
    "Clause",
    "Judgement",
    "Level",
    "NotConformantError",
    "NotMeasurable",
    "Outcome",
    "judge",
    "judge_sync",
    "load_clauses",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
