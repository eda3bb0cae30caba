"""Tests that wait for real time run together: what passes has passed, what does not is measured alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from pytest_mcp_storage.engine.clause_tests import ClauseTest
from pytest_mcp_storage.engine.clock import ObservedTime
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.engine.together import can_wait_together, measure_together
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clauses import Clause, load_clauses
from pytest_mcp_storage.suite import suite_tests
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness
from pytest_mcp_storage.zoo.mutants.expiry import ServesUntilCleanup

CLAUSES = {each.id: each for each in load_clauses()}


class RealTime(InMemoryHarness):
    """A store that takes no clock, and may hold sessions of others."""

    capabilities = frozenset({Capability.DEFAULT_TTL})
    dedicated: ClassVar[bool] = False


class ServesTheExpired(ServesUntilCleanup):
    capabilities = RealTime.capabilities
    dedicated: ClassVar[bool] = False


class CountedWaits(ObservedTime):
    """Real time, and how many tests waited for it at once."""

    waiting = most = 0

    async def pass_time(self, seconds: float) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await super().pass_time(seconds)
        self.waiting -= 1


@pytest.fixture
def environment(loop: SuiteLoop, request: pytest.FixtureRequest) -> Iterator[Environment]:
    made = Environment("store", getattr(request, "param", RealTime), loop)
    made.start()
    yield made
    made.stop()


def named(*names: str) -> list[tuple[ClauseTest, Clause]]:
    return [(test, CLAUSES[test.clause]) for test in map(suite_tests().__getitem__, names)]


def together(environment: Environment, tests: Sequence[tuple[ClauseTest, Clause]]) -> set[str]:
    assert all(can_wait_together(test, clause, environment) for test, clause in tests)
    return set(measure_together(tests, environment, TIERS["smoke"], 1, destructive=False))


TWO = ("test_no_read_shows_an_expired_session", "test_an_expired_session_cannot_be_updated")


def test_they_wait_at_the_same_time(environment: Environment) -> None:
    environment.time = CountedWaits()
    assert together(environment, named(*TWO)) == set(TWO)
    assert environment.time.most == 2


@pytest.mark.parametrize("environment", [ServesTheExpired], indirect=True)
def test_what_fails_in_company_is_measured_alone(environment: Environment) -> None:
    assert together(environment, named(*TWO, "test_ten_years_are_kept_as_given")) == {
        "test_ten_years_are_kept_as_given"
    }


def test_nothing_of_them_is_left_in_a_store_of_others(environment: Environment) -> None:
    assert together(environment, named(*TWO, "test_ten_years_are_kept_as_given"))
    assert environment.harness.store.rows == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("test_no_read_shows_an_expired_session", True),
        ("test_one_of_many_creates_over_an_expired_session_succeeds", False),  # it draws the order of all ready tasks
        ("test_every_value_of_the_catalogue_survives", False),  # it does not wait
    ],
)
def test_which_tests_can_wait_together(environment: Environment, name: str, possible: bool) -> None:
    ((test, clause),) = named(name)
    assert can_wait_together(test, clause, environment) is possible


@pytest.mark.parametrize("environment", [InMemoryHarness], indirect=True)
def test_a_store_with_a_clock_waits_for_nothing(environment: Environment) -> None:
    ((test, clause),) = named(TWO[0])
    assert not can_wait_together(test, clause, environment)
