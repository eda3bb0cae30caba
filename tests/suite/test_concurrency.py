"""CO: a failure reads as a timeline, and a conforming store passes. `mcp-storage zoo` runs the broken ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from pytest_mcp_storage import Outcome
from pytest_mcp_storage.oracle.history import assert_linearizable
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.workloads import contention
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness
from pytest_mcp_storage.zoo.mutants import concurrency

Judge = Callable[..., list[Measurement]]


def test_a_failure_is_shown_as_a_timeline(judge: Judge) -> None:
    seen = [each for each in judge(concurrency.ReadsThenWrites, "CO-2") if each.outcome is Outcome.FAILED]
    assert seen
    assert all("█" in line for each in seen for line in each.history)
    assert any("update_session({" in line for line in seen[0].history)


def test_a_history_too_large_to_search_is_not_measured(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "assert_linearizable", partial(assert_linearizable, bound=5))
    seen, _ = judge(InMemoryHarness, "CO-3", tier="smoke")
    assert seen.outcome is Outcome.NOT_MEASURED
    assert "over 5 states" in seen.message


def test_across_processes_is_a_half_that_can_be_left_out(judge: Judge) -> None:
    seen = judge(InMemoryHarness, "CO-5", tier="smoke")
    assert [each.outcome for each in seen] == [*[Outcome.PASSED] * 4, Outcome.NOT_APPLICABLE]
    assert "left out: across processes (needs CRASH)" in seen[0].notes
