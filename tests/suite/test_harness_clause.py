"""HA-1: a false declaration fails, and an undeclared capability is noted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage import BackendHarness, Capability, Outcome
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from pytest_mcp_storage.spec.outcome import UNDECLARED, Measurement
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness
from pytest_mcp_storage.zoo.json_store import JsonStoreHarness
from pytest_mcp_storage.zoo.mutants import declarations
from pytest_mcp_storage.zoo.mutants.row_security import GuardedHarness

Judge = Callable[..., list[Measurement]]

BROKEN = [
    each
    for each in vars(declarations).values()
    if isinstance(each, type) and issubclass(each, BackendHarness) and each.__module__ == declarations.__name__
]


def test_there_is_a_false_declaration_for_each_capability() -> None:
    assert len(BROKEN) >= len(Capability)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_declaration_that_is_not_so_is_killed(failure_of: Callable[..., str], broken: type[InMemoryHarness]) -> None:
    failure_of(broken, broken.breaks)


@pytest.mark.parametrize(
    "conforming", [MemoryHarness, SqliteHarness, InMemoryHarness, JsonStoreHarness, GuardedHarness]
)
def test_what_is_declared_truly_is_passed(judge: Judge, conforming: type[BackendHarness]) -> None:
    seen = judge(conforming, "HA", tier="smoke")
    assert {each.outcome for each in seen} <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}, seen
    assert not noted(seen)
    looked_at = sum(each.outcome is Outcome.PASSED for each in seen)
    assert looked_at >= len(conforming.capabilities)


def noted(seen: list[Measurement]) -> set[str]:
    return {note.removeprefix(UNDECLARED) for each in seen for note in each.notes if note.startswith(UNDECLARED)}


@pytest.mark.parametrize(
    "hidden", [Capability.DURABLE, Capability.SHARED, Capability.CLOCK, Capability.KEY, Capability.DEFAULT_TTL]
)
def test_what_is_there_and_not_declared_is_noted(judge: Judge, hidden: Capability) -> None:
    class Modest(InMemoryHarness):
        capabilities = InMemoryHarness.capabilities - {hidden}

    seen = judge(Modest, "HA", tier="smoke")
    assert {each.outcome for each in seen} <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}, seen
    assert noted(seen) == {hidden.name}


def test_a_probe_leaves_nothing_behind(judge: Judge) -> None:
    shelves = []

    class Modest(InMemoryHarness):
        capabilities = frozenset()
        dedicated = False

        def __init__(self) -> None:
            super().__init__()
            shelves.append(self.store)

    assert noted(judge(Modest, "HA", tier="smoke", destructive=False)) == {"DURABLE", "SHARED", "CLOCK", "KEY"}
    assert len(shelves) > 4
    assert not any(store.rows for store in shelves)


def test_smoke_waits_for_no_native_timer_and_says_so(judge: Judge) -> None:
    seen = judge(InMemoryHarness, "HA", tier="smoke")
    assert any("native timer" in note for each in seen for note in each.notes)
