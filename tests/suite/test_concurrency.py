"""CO: each clause catches the store that breaks it, and spares the one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage import BackendHarness, Outcome
from pytest_mcp_storage.outcome import Measurement
from pytest_mcp_storage.zoo import concurrency
from pytest_mcp_storage.zoo.sheet import SheetHarness
from pytest_mcp_storage.zoo.shelf import ShelfHarness

BROKEN = [
    concurrency.LooksFirst,
    concurrency.ReadsThenWrites,
    concurrency.Upserts,
    concurrency.CachesWhatItRead,
    concurrency.KeepsItsOwnCopy,
    concurrency.LocksItself,
    concurrency.LocksNoOtherProcess,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_store_is_caught_by_its_clause(
    caught: Callable[..., str], broken: type[ShelfHarness | SheetHarness]
) -> None:
    caught(broken, broken.breaks)


@pytest.mark.parametrize(("sound", "tier"), [(ShelfHarness, "standard"), (SheetHarness, "smoke")])
def test_a_sound_store_is_spared(
    judge: Callable[..., list[Measurement]], sound: type[BackendHarness], tier: str
) -> None:
    seen = judge(sound, "CO", tier=tier)
    assert {each.outcome for each in seen} <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}, seen
    assert sum(each.outcome is Outcome.PASSED for each in seen) >= len(seen) - 1
