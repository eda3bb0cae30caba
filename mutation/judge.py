"""The test of a mutant: the conformance suite, in this process, until it fails.

    python judge.py memory sqlite

asks the first store every clause, and each further one the clauses that none before it has answered in full. Exits
with 0 where every answer was right, so that the mutant lives, and with 1 at the first that was not.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.tiers import TIERS, Tier
from pytest_mcp_storage.session.backends import resolve
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.spec.outcome import Outcome
from pytest_mcp_storage.zoo.run import suite_tests

SMOKE = replace(TIERS["smoke"], shrinking=0)
"""Nobody reads the example that kills a mutant."""

GLANCE = replace(SMOKE, examples=2, steps=5, listed=50, clearing=50, ids=2000)
"""Enough for most mutants. Those that pass it meet the whole tier."""

SEED = 0


def judge(backend: str, tier: Tier, answered: set[str]) -> str:
    """What is wrong with the store, or nothing. Adds the clauses that it answers in full to ``answered``."""
    tests = suite_tests()
    loop = SuiteLoop()
    environment = Environment(backend, resolve(backend, Path.cwd()), loop)
    environment.start()
    try:
        for clause in load_clauses():
            if clause.id in answered:
                continue
            seen = [measure(tests[name], clause, environment, tier, SEED, destructive=True) for name in clause.tests]
            for each in seen:
                if each.outcome in (Outcome.FAILED, Outcome.NOT_MEASURED):
                    return f"{backend} {clause.id} {each.test}: {each.message}"
            if all(each.outcome is Outcome.PASSED and not each.notes for each in seen):
                answered.add(clause.id)
    finally:
        environment.stop()
        loop.close()
    return ""


def main() -> int:
    """Glance at the first store, then ask all of them in earnest."""
    first, *further = sys.argv[1:]
    answered: set[str] = set()
    for backend, tier in ((first, GLANCE), (first, SMOKE), *((each, SMOKE) for each in further)):
        if wrong := judge(backend, tier, set() if tier is GLANCE else answered):
            print(wrong)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
