"""The kill signatures of the mutants: which clauses fail each of them, and how. Diagnoses compare with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.oracle.reduction import reduce
from pytest_mcp_storage.report.fingerprint import kind_of
from pytest_mcp_storage.report.signature_table import packed, parsed
from pytest_mcp_storage.report.similarity import calibrated
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.spec.outcome import Outcome
from pytest_mcp_storage.suite import suite_tests
from pytest_mcp_storage.zoo.registry import all_mutants
from pytest_mcp_storage.zoo.run import quietly

FILE = Path(__file__).with_name("signatures.json")
SLOW = ("LC-10", "LC-13", "ID-6", "CO-5", "CO-6", "CO-7", "CA-", "RE-", "DU-2", "DU-3", "FA-", "RS-")
"""Clauses and groups that take seconds on any store: they are run only on the mutants that they must kill."""
QUICK_TIER = replace(TIERS["smoke"], examples=6, steps=12, shrinking=0.4, listed=1100, clearing=300, ids=10_000)
"""A tier that is enough for a signature: how a clause fails differs little between tiers."""


LONGEST = 60.0
"""Seconds after which a mutant that is slow by its fault gets only the clauses that must kill it."""
TASKS = 10
"""Mutants that a process runs before a new one takes its place: each leaves some megabytes behind."""
PRECISION = 0.9
"""The share of diagnoses that must be right, in the test that leaves each mutant out in turn."""


def signature(name: str, *, seed: int = 0) -> dict[str, Any]:
    """Return what the clauses observe on a mutant: for each failed clause how it failed."""
    mutant = next(each for each in all_mutants() if each.name == name)
    failed: dict[str, str] = {}
    end = time.monotonic() + LONGEST
    loop = SuiteLoop()
    environment = Environment(name, mutant.harness, loop)
    tests = suite_tests()
    try:
        environment.start()
        for clause in load_clauses():
            too_slow = clause.id.startswith(SLOW) or time.monotonic() > end
            if too_slow and clause.id not in mutant.clauses:
                continue
            for test in () if environment.hung else clause.tests:
                seen = measure(tests[test], clause, environment, QUICK_TIER, seed, destructive=True, reduce=reduce)
                if seen.outcome is Outcome.FAILED:
                    failed[clause.id] = kind_of(seen.message, seen.scenario)
                    break
        environment.stop()
    except Exception as error:
        failed.setdefault("error", repr(error))
    finally:
        loop.close()
    return {"clauses": list(mutant.clauses), "why": mutant.why, "failed": failed}


def read_table(file: Path = FILE) -> dict[str, Any]:
    """Return the table in a file."""
    return parsed(file.read_text(encoding="utf-8"))


def write_table(mutants: Mapping[str, Any], file: Path = FILE) -> None:
    """Write the signatures with the threshold that they give, a mutant a line."""
    figures = json.dumps(calibrated(mutants, PRECISION))[1:-1]
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(packed(each), ensure_ascii=False, separators=(',', ':'))}"
        for name, each in mutants.items()
    )
    file.write_text(f'{{{figures},\n"mutants": {{\n{lines}\n}}}}\n', encoding="utf-8")


def write_signatures(names: Iterable[str], *, jobs: int, file: Path = FILE) -> None:
    """Run these mutants and write their signatures, keeping those of the others that still exist."""
    known = read_table(file)["mutants"] if file.exists() else {}
    existing = [each.name for each in all_mutants()]
    for some in batched(names, jobs * TASKS):
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=quietly) as pool:
            running = {pool.submit(signature, name): name for name in some}
            for done in as_completed(running):
                known[running[done]] = done.result()
        write_table({name: known[name] for name in existing if name in known}, file)


def batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the names in lists of this size; the last may be shorter. Python 3.11 has no ``itertools.batched``."""
    rest = iter(names)
    while some := list(islice(rest, size)):
        yield some
