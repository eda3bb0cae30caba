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
    print(broken.breaks, caught(broken, broken.breaks))


@pytest.mark.parametrize("sound", [ShelfHarness, SheetHarness])
def test_a_sound_store_is_spared(judge: Callable[..., list[Measurement]], sound: type[BackendHarness]) -> None:
    assert [each for each in judge(sound, "CO") if each.outcome not in (Outcome.PASSED, Outcome.NOT_APPLICABLE)] == []
