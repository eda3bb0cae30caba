"""CA: every suspension point is tried, a failure names it, and a conforming store passes. Mutants are for the zoo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Outcome
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.workloads.cancellation import moments
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, Rows
from pytest_mcp_storage.zoo.mutants import cancellation, cancelled_callers
from reference_backends import StorageUnavailableError

Judge = Callable[..., list[Measurement]]


class _AsksThirtyTimes(InMemoryBackend):
    async def request(self, work: Callable[[Rows], Any]) -> Any:
        for _ in range(30):
            await asyncio.sleep(0)
        return await super().request(work)


class AsksThirtyTimes(InMemoryHarness):
    """Has more suspension points than a tier tries in one example."""

    backend = _AsksThirtyTimes


def test_a_store_that_awaits_often_passes(judge: Judge) -> None:
    seen = judge(AsksThirtyTimes, "CA", tier="smoke")
    assert [each for each in seen if each.outcome is not Outcome.PASSED] == []


@pytest.mark.parametrize(
    ("mutant", "clause", "message"),
    [
        (cancellation.DeletesAndInserts, "CA-1", "update_session was cancelled"),
        (cancellation.AnswersTheNextCaller, "CA-2", "was cancelled "),
        (cancellation.KeepsItsLockWhenCancelled, "CA-2", "did not return within 4 s"),
        (cancelled_callers.SharesOneAnswer, "CA-3", "which nobody cancelled, was cancelled"),
        (cancelled_callers.TriesAgainWhenCancelled, "CA-4", "it waited for more and then returned"),
        (cancelled_callers.HoldsTheLockOfItsInit, "CA-5", "init did not return within 4 s"),
    ],
)
def test_a_failure_says_where_the_call_was_cancelled(
    failure_of: Callable[..., str], mutant: type[BackendHarness], clause: str, message: str
) -> None:
    assert message in failure_of(mutant, clause)


@pytest.fixture
def context(suite_loop: SuiteLoop) -> TestContext:
    return TestContext(Environment("store", InMemoryHarness, suite_loop), TIERS["standard"], 0, destructive=True)


def test_few_suspension_points_are_all_tried(context: TestContext) -> None:
    assert moments(context, 0) == []
    assert moments(context, 7) == [1, 2, 3, 4, 5, 6, 7]


def test_of_many_the_first_the_last_and_others_each_time(context: TestContext) -> None:
    tried = set()
    for _ in range(80):
        context.begin()
        chosen = moments(context, 60)
        assert len(chosen) == 10
        assert {1, 60} <= set(chosen)
        tried |= set(chosen)
    assert len(tried) == 60


def test_deep_tries_all_of_them(context: TestContext) -> None:
    context.tier = replace(context.tier, faults=25)
    assert len(moments(context, 60)) == 60


class _LeavesItsLock(InMemoryBackend):
    """Raises in every call after a cancelled one, as SQLite does while a cursor of a cancelled call is open."""

    async def request(self, work: Callable[[Rows], Any]) -> Any:
        if getattr(self.store, "locked", False):
            raise StorageUnavailableError("database is locked")
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            setattr(self.store, "locked", True)  # noqa: B010
            raise
        return await super().request(work)


@pytest.mark.parametrize("clause", ["CA-1", "CA-3", "CA-4"])
def test_what_a_cancelled_call_leaves_behind_is_not_blamed_on_the_next_call_alone(judge: Judge, clause: str) -> None:
    harness = type("LeavesItsLock", (InMemoryHarness,), {"backend": _LeavesItsLock})
    failed = [each for each in judge(harness, clause) if each.outcome is Outcome.FAILED]
    assert any("was cancelled" in f"{each.message} {each.notes}" for each in failed)
    blaming = [each for each in failed if each.message.startswith(("create_session raised", "init raised"))]
    assert all("was cancelled at its suspension point" in str(each.notes) for each in blaming), blaming
    assert not any(each.scenario for each in blaming)
