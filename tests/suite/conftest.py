"""Clauses measured in this process, on stores that are made for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from pytest_mcp_storage import BackendHarness, Outcome, load_clauses
from pytest_mcp_storage.engine.clause_tests import ClauseTest, tests_in
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.suite import suite_files

Judge = Callable[..., list[Measurement]]

SEED = 20261123


@pytest.fixture(scope="session")
def suite_loop() -> Iterator[SuiteLoop]:
    loop = SuiteLoop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def judge(suite_loop: SuiteLoop) -> Judge:
    """Return ``judge(harness, "CO")``: the measurements of each test of that clause or group on that store.

    ``only``: the one test that is measured.
    """

    def judged(
        harness: Callable[[], BackendHarness],
        name: str,
        *,
        tier: str = "smoke",
        examples: int | None = None,
        seed: int = SEED,
        destructive: bool = True,
        only: str = "",
    ) -> list[Measurement]:
        hurried = replace(TIERS[tier], shrinking=0, examples=examples or TIERS[tier].examples)
        environment = Environment(getattr(harness, "name", ""), harness, suite_loop)
        environment.start()
        try:
            return [
                measure(clause_test(test), clause, environment, hurried, seed, destructive=destructive)
                for clause in load_clauses()
                if name in (clause.id, clause.group)
                for test in clause.tests
                if only in ("", test)
            ]
        finally:
            environment.stop()

    return judged


@pytest.fixture(scope="session")
def failure_of(judge: Judge) -> Callable[..., str]:
    """``failure_of(harness, "CO-1")``: how the clause's failure reads, at smoke if it is failure_of there.

    The test fails if no test of the clause failed at standard either.
    """

    def found(harness: Callable[[], BackendHarness], clause: str) -> str:
        for tier in ("smoke", "standard"):
            seen = judge(harness, clause, tier=tier)
            failed = [each for each in seen if each.outcome is Outcome.FAILED]
            if failed:
                return f"{failed[0].message}; should {failed[0].should}"
        raise AssertionError(
            "\n".join(f"{each.test}: {each.outcome.value} {each.message}{each.fault}" for each in seen)
        )

    return found


def clause_test(name: str) -> ClauseTest:
    """Return the suite's test of that name."""
    (path,) = (path for path in map(Path, suite_files()) if f"def {name}(" in path.read_text())
    found = tests_in(import_module(f"pytest_mcp_storage.suite.{path.stem}"))
    return next(test for test in found if test.name == name)
