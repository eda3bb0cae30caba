"""Runs the clauses that must kill a mutant, or all clauses against a conforming store."""

from __future__ import annotations

import logging
import time
import warnings
from dataclasses import dataclass, field
from importlib import import_module

from pytest_mcp_storage.engine.clause_test import ClauseTest, tests_in
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.session.suite_paths import suite_files
from pytest_mcp_storage.spec.clauses import Clause, load_clauses
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.registry import all_mutants, conforming_stores


@dataclass
class KillResult:
    """The result of one mutant.

    ``by``: the clauses that failed it, in the order in which they did. ``examples`` and ``seconds``: from the start of
    the first named clause to its first failing test. ``tier``: at which it was killed. ``faults``: clauses that could
    not be measured, and what its harness raised.
    """

    mutant: str
    named: tuple[str, ...]
    tier: str
    by: list[str] = field(default_factory=list)
    examples: int = 0
    seconds: float = 0.0
    message: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        """Whether every clause that names it failed it."""
        return bool(self.named) and set(self.named) <= set(self.by)

    @property
    def passed(self) -> bool:
        """Whether it is conforming, and every clause was measured and passed it."""
        return not (self.named or self.by or self.faults)


def run_mutant(
    name: str, *, tiers: tuple[str, ...] = ("smoke", "standard"), seed: int = 0, every: bool = False
) -> KillResult:
    """Run the clauses of the named mutant, at one tier after another, until they kill it.

    ``every``: all clauses, at the last tier only. A conforming store always gets all of them, at the first tier.
    """
    mutant = next(each for each in (*all_mutants(), *conforming_stores()) if each.name == name)
    whole = every or not mutant.clauses
    result = KillResult(name, mutant.clauses, tiers[-1])
    for tier in tiers[:1] if not mutant.clauses else tiers[-1:] if every else tiers:
        result = KillResult(name, mutant.clauses, tier)
        _judge(mutant, result, [each for each in load_clauses() if whole or each.id in mutant.clauses], tier, seed)
        if result.killed:
            break
    return result


def _judge(mutant: Mutant, result: KillResult, clauses: list[Clause], tier: str, seed: int) -> None:
    loop = SuiteLoop()
    environment = Environment(mutant.name, mutant.harness, loop)
    start = time.perf_counter()
    try:
        environment.start()
        try:
            for clause in clauses:
                _run_clause(clause, environment, result, tier, seed, start)
        finally:
            environment.stop()
    except Exception as error:  # a harness of ours that can't make its store, or end it: reported with the other holes
        result.faults.append(f"the harness failed: {error!r}")
    finally:
        loop.close()


def _run_clause(
    clause: Clause, environment: Environment, result: KillResult, tier: str, seed: int, start: float
) -> None:
    tests = suite_tests()
    for name in clause.tests:
        seen: Measurement = measure(tests[name], clause, environment, TIERS[tier], seed, destructive=True)
        if not result.by:
            result.examples += seen.examples
        if seen.outcome is Outcome.FAILED:
            if not result.by:
                result.seconds, result.message = time.perf_counter() - start, seen.message
            result.by.append(clause.id)
            return
        if seen.outcome is Outcome.NOT_MEASURED:
            result.faults.append(f"{clause.id}: {seen.message}")


def quietly() -> None:
    """Drop the log records and warnings of broken stores: they are right."""
    logging.getLogger().addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")


def suite_tests() -> dict[str, ClauseTest]:
    """Every test of the suite, by name."""
    names = [path.rpartition("/")[2].removesuffix(".py") for path in suite_files()]
    modules = [import_module(f"pytest_mcp_storage.suite.{name}") for name in names]
    return {test.name: test for module in modules for test in tests_in(module)}
