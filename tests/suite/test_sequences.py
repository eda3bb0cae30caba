"""Planned sequences pass a correct store, and attribute what a broken one does to the clause that it breaks."""

from __future__ import annotations

from contextlib import suppress

import pytest

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.workloads.sequences.run import Outcome, report
from pytest_mcp_storage.zoo.registry import all_mutants, conforming_stores

HARNESSES = {each.name: each.harness for each in (*all_mutants(), *conforming_stores())}


def outcome(harness: type[BackendHarness], loop: SuiteLoop, tier: str = "smoke") -> Outcome:
    environment = Environment("store", harness, loop)
    environment.start()
    try:
        context = TestContext(environment, TIERS[tier], 0, destructive=True)
        with suppress(Violation):
            loop.run(report(context, "RT-1"), limit=120)
        loop.run(context.tidy(), limit=60)
        (found,) = [each for name, each in environment.shared.items() if name.startswith("sequences")]
        assert isinstance(found, Outcome)
        return found
    finally:
        environment.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Plain", "RefusesTakenIds", "WholeSeconds", "OneHandleAtATime", "Incapable"])
def test_a_conforming_store_breaks_nothing(name: str, suite_loop: SuiteLoop) -> None:
    found = outcome(HARNESSES[name], suite_loop)
    assert found.violations == {}
    assert any("ordered pairs" in note for note in found.notes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "clause"),
    [
        ("GetForgetsExpiry", "EX-2"),
        ("RenewalRevives", "EX-3"),
        ("OldFieldsShine", "EX-4"),
        ("CleanupTakesOne", "EX-5"),
        ("RenewsTheFamily", "EX-10"),
        ("ChecksAfterItWrote", "LC-7"),
        ("RemovesTheWholeIdentity", "LC-8"),
        ("WritesFieldAfterField", "CA-1"),
        ("AnswersTheNextCaller", "CA-2"),
        ("OpensToUpdate", "EN-9"),
    ],
)
def test_a_broken_store_breaks_its_clause(name: str, clause: str, suite_loop: SuiteLoop) -> None:
    found = outcome(HARNESSES[name], suite_loop)
    assert clause in found.violations
    violation = found.violations[clause]
    assert violation.settled
    assert len(violation.history) < 25


@pytest.mark.slow
def test_linked_sequences_are_played_at_standard(suite_loop: SuiteLoop) -> None:
    """Play each pair by two handles and for two identities; at smoke the tests of EX-7 alone find this one."""
    assert "EX-7" in outcome(HARNESSES["EmptyUpdateRenewsNothing"], suite_loop, "standard").violations
