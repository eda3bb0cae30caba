"""The test of a mutant: the conformance suite, in this process, until it fails.

python judge.py memory sqlite

runs every clause on the first store, and on each further store the clauses that no earlier one measured completely. The
exit code is 0 if every clause passed, so that the mutant survives, and 1 at the first failure.
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
from pytest_mcp_storage.suite import suite_tests

SMOKE = replace(TIERS["smoke"], shrinking=0)
"""Don't shrink: nobody reads the example that kills a mutant."""

QUICK_TIER = replace(SMOKE, examples=2, steps=5, listed=50, clearing=50, ids=2000)
"""Enough for most mutants. The others get the complete tier."""

SEED = 0


def judge(backend: str, tier: Tier, answered: set[str]) -> str:
    """Return what is wrong with the store, or an empty text. Add the clauses that it measures to ``answered``."""
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
    """Run a few examples on the first store, then the complete tier on all of them."""
    first, *further = sys.argv[1:]
    answered: set[str] = set()
    for backend, tier in ((first, QUICK_TIER), (first, SMOKE), *((each, SMOKE) for each in further)):
        if wrong := judge(backend, tier, set() if tier is QUICK_TIER else answered):
            print(wrong)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
