"""HA-1: what a harness declares and is not so is caught; what it can do and does not declare is noted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage import BackendHarness, Capability, Outcome
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from pytest_mcp_storage.outcome import UNDECLARED, Measurement
from pytest_mcp_storage.zoo.houses import declarations
from pytest_mcp_storage.zoo.houses.row_security import GuardedHarness
from pytest_mcp_storage.zoo.sheet import SheetHarness
from pytest_mcp_storage.zoo.shelf import ShelfHarness

Judge = Callable[..., list[Measurement]]

BROKEN = [
    each
    for each in vars(declarations).values()
    if isinstance(each, type) and issubclass(each, BackendHarness) and each.__module__ == declarations.__name__
]


def test_there_is_a_lie_for_each_capability() -> None:
    assert len(BROKEN) >= len(Capability)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_declaration_that_is_not_so_is_caught(caught: Callable[..., str], broken: type[ShelfHarness]) -> None:
    caught(broken, broken.breaks)


@pytest.mark.parametrize("sound", [MemoryHarness, SqliteHarness, ShelfHarness, SheetHarness, GuardedHarness])
def test_what_is_declared_truly_is_spared(judge: Judge, sound: type[BackendHarness]) -> None:
    seen = judge(sound, "HA", tier="smoke")
    assert {each.outcome for each in seen} <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}, seen
    assert not noted(seen)
    looked_at = sum(each.outcome is Outcome.PASSED for each in seen)
    assert looked_at >= len(sound.capabilities)


def noted(seen: list[Measurement]) -> set[str]:
    return {note.removeprefix(UNDECLARED) for each in seen for note in each.notes if note.startswith(UNDECLARED)}


@pytest.mark.parametrize("hidden", [Capability.DURABLE, Capability.SHARED, Capability.CLOCK, Capability.KEY])
def test_what_is_there_and_not_declared_is_noted(judge: Judge, hidden: Capability) -> None:
    class Modest(ShelfHarness):
        capabilities = ShelfHarness.capabilities - {hidden}

    seen = judge(Modest, "HA", tier="smoke")
    assert {each.outcome for each in seen} <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}, seen
    assert noted(seen) == {hidden.name}


def test_a_probe_leaves_nothing_behind(judge: Judge) -> None:
    shelves = []

    class Modest(ShelfHarness):
        capabilities = frozenset()
        dedicated = False

        def __init__(self) -> None:
            super().__init__()
            shelves.append(self.shelf)

    assert noted(judge(Modest, "HA", tier="smoke", destructive=False)) == {"DURABLE", "SHARED", "CLOCK", "KEY"}
    assert len(shelves) > 4
    assert not any(shelf.rows for shelf in shelves)


def test_smoke_waits_for_no_native_timer_and_says_so(judge: Judge) -> None:
    seen = judge(ShelfHarness, "HA", tier="smoke")
    assert any("native timer" in note for each in seen for note in each.notes)
