"""CA: every suspension point is tried, a failure names it, and a conforming store passes. Mutants are for the zoo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Outcome
from pytest_mcp_storage.measuring.bench import Bench
from pytest_mcp_storage.measuring.loop import SuiteLoop
from pytest_mcp_storage.measuring.tiers import TIERS
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.ordeals.cancellation import moments
from pytest_mcp_storage.outcome import Measurement
from pytest_mcp_storage.zoo.houses import cancellation, cancelled_callers
from pytest_mcp_storage.zoo.sheet import SheetHarness
from pytest_mcp_storage.zoo.shelf import Rows, ShelfBackend, ShelfHarness

Judge = Callable[..., list[Measurement]]


class _AsksThirtyTimes(ShelfBackend):
    async def request(self, work: Callable[[Rows], Any]) -> Any:
        for _ in range(30):
            await asyncio.sleep(0)
        return await super().request(work)


class AsksThirtyTimes(ShelfHarness):
    """Has more suspension points than a tier tries in one example."""

    backend = _AsksThirtyTimes


@pytest.mark.parametrize("conforming", [ShelfHarness, SheetHarness, AsksThirtyTimes])
def test_a_conforming_store_passes(judge: Judge, conforming: type[BackendHarness]) -> None:
    seen = judge(conforming, "CA", tier="smoke")
    assert [each for each in seen if each.outcome is not Outcome.PASSED] == []


@pytest.mark.parametrize(
    ("mutant", "clause", "message"),
    [
        (cancellation.DeletesAndInserts, "CA-1", "update_session was cancelled at its suspension point"),
        (cancellation.AnswersTheNextCaller, "CA-2", "was cancelled at its suspension point"),
        (cancellation.KeepsItsLockWhenCancelled, "CA-2", "did not return within 4 s"),
        (cancelled_callers.SharesOneAnswer, "CA-3", "which nobody cancelled, was cancelled"),
        (cancelled_callers.TriesAgainWhenCancelled, "CA-4", "it waited for more and then returned"),
        (cancelled_callers.HoldsTheLockOfItsInit, "CA-5", "init did not return within 4 s"),
    ],
)
def test_a_failure_says_where_the_call_was_cancelled(
    caught: Callable[..., str], mutant: type[BackendHarness], clause: str, message: str
) -> None:
    assert message in caught(mutant, clause)


@pytest.fixture
def trial(suite_loop: SuiteLoop) -> Trial:
    return Trial(Bench("shelf", ShelfHarness, suite_loop), TIERS["standard"], 0, destructive=True)


def test_few_suspension_points_are_all_tried(trial: Trial) -> None:
    assert moments(trial, 0) == []
    assert moments(trial, 7) == [1, 2, 3, 4, 5, 6, 7]


def test_of_many_the_first_the_last_and_others_each_time(trial: Trial) -> None:
    tried = set()
    for _ in range(40):
        trial.begin()
        chosen = moments(trial, 60)
        assert len(chosen) == 10
        assert {1, 60} <= set(chosen)
        tried |= set(chosen)
    assert len(tried) == 60


def test_deep_tries_all_of_them(trial: Trial) -> None:
    trial.tier = replace(trial.tier, faults=25)
    assert len(moments(trial, 60)) == 60
