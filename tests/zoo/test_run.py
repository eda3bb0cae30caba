"""A run of the zoo keeps killed apart from survived, and passed apart from not measured."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.zoo import run
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.mutants import expiry

Put = Callable[..., str]


class Locked(InMemoryHarness):
    """Can't be provisioned."""

    async def __aenter__(self) -> BackendHarness:
        raise PermissionError("no store for you")


@pytest.fixture
def mutant(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Register one harness under the given clauses in a contract of three clauses, and return its name."""
    contract = [clause for clause in load_clauses() if clause.id in {"RT-1", "EX-2", "EX-3"}]
    monkeypatch.setattr(run, "load_clauses", lambda: contract)

    def put(harness: type[BackendHarness], *clauses: str) -> str:
        here = (Mutant(harness.__name__, clauses, "a test", harness),)
        monkeypatch.setattr(run, "all_mutants", lambda: here if clauses else ())
        monkeypatch.setattr(run, "conforming_stores", lambda: () if clauses else here)
        return harness.__name__

    return put


def test_a_broken_store_is_killed_at_the_first_tier_that_can(mutant: Put) -> None:
    result = run.run_mutant(mutant(expiry.ServesUntilCleanup, "EX-2"))
    assert (result.by, result.tier, result.killed, result.passed) == (["EX-2"], "smoke", True, False)
    assert result.examples >= 1
    assert result.seconds > 0
    assert "returned the session" in result.message


def test_one_that_its_clause_lets_pass_has_survived_every_tier(mutant: Put) -> None:
    result = run.run_mutant(mutant(expiry.ServesUntilCleanup, "RT-1"))
    assert (result.by, result.tier, result.killed, result.passed) == ([], "standard", False, False)


def test_one_that_a_second_named_clause_lets_pass_is_not_killed(mutant: Put) -> None:
    result = run.run_mutant(mutant(expiry.ServesUntilCleanup, "EX-2", "RT-1"))
    assert result.by == ["EX-2"]
    assert not result.killed


def test_with_every_it_meets_the_clauses_that_do_not_name_it_too(mutant: Put) -> None:
    result = run.run_mutant(mutant(expiry.ServesUntilCleanup, "EX-2"), tiers=("smoke",), every=True)
    assert result.killed
    assert {"EX-2", "EX-3"} <= set(result.by)


def test_a_conforming_store_meets_every_clause_and_is_passed(mutant: Put) -> None:
    result = run.run_mutant(mutant(InMemoryHarness))
    assert (result.by, result.faults, result.tier) == ([], [], "smoke")
    assert result.passed
    assert not result.killed


def test_a_store_called_conforming_that_a_clause_fails_is_not_passed(mutant: Put) -> None:
    result = run.run_mutant(mutant(expiry.ServesUntilCleanup))
    assert "EX-2" in result.by
    assert not result.passed


def test_one_that_could_not_be_measured_is_neither_killed_nor_passed(mutant: Put) -> None:
    for clauses in ((), ("EX-2",)):
        result = run.run_mutant(mutant(Locked, *clauses))
        assert not result.killed
        assert not result.passed
        assert any("no store for you" in each for each in result.faults)
