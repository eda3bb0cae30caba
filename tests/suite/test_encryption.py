"""EN: each clause catches the stores that break it, and spares those that do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage import BackendHarness, Outcome
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.outcome import Measurement
from pytest_mcp_storage.zoo.sheet import SheetHarness
from pytest_mcp_storage.zoo.shelf import ShelfHarness
from pytest_mcp_storage.zoo.specimens import Specimen, defects

BROKEN = [(each, clause) for each in defects() for clause in each.clauses if clause.startswith("EN-")]


@pytest.mark.parametrize(("broken", "clause"), BROKEN, ids=[f"{each.name}-{clause}" for each, clause in BROKEN])
def test_a_broken_store_is_caught_by_its_clause(caught: Callable[..., str], broken: Specimen, clause: str) -> None:
    assert caught(broken.harness, clause)


@pytest.mark.parametrize("sound", [MemoryHarness, ShelfHarness, SheetHarness])
def test_a_sound_store_is_spared(judge: Callable[..., list[Measurement]], sound: type[BackendHarness]) -> None:
    seen = judge(sound, "EN", tier="smoke")
    assert [each for each in seen if each.outcome not in (Outcome.PASSED, Outcome.NOT_APPLICABLE)] == []


def test_a_failure_says_what_lies_where(caught: Callable[..., str]) -> None:
    harness = {each.name: each.harness for each in defects()}
    assert "the access token of an update (compressed, then base64)" in caught(harness["PacksItsHistory"], "EN-1")
    assert "enc:1:" in caught(harness["SealsInCapitals"], "EN-2")
    assert "have the IV of" in caught(harness["FixedIv"], "EN-3")
    assert "session_id = None" in caught(harness["NamesNoSession"], "EN-7")
    assert "a log record of" in caught(harness["LogsEachCall"], "EN-10")
