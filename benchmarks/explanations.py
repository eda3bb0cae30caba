"""Measure what the suite prints for the mutants of the zoo: ``python benchmarks/explanations.py [MUTANT...]``.

Each mutant is judged by the clauses that must kill it, at standard. Printed: the lengths of the sequential histories
before and after their reduction, how long that took, and whether each reproducer fails on its mutant and passes on the
correct store that the mutant is a change of. ``--every 6`` takes every sixth mutant.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from xml.etree import ElementTree

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.recording import History
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.oracle.reduction import reduce
from pytest_mcp_storage.session.reproducers import source
from pytest_mcp_storage.spec.clauses import Clause, load_clauses
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
from pytest_mcp_storage.suite import suite_tests
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.registry import all_mutants
from pytest_mcp_storage.zoo.run import quietly


@dataclass
class Explained:
    """A failure: calls as recorded and as printed, seconds of the reduction, and the reproducers' sources."""

    mutant: str
    clause: str
    recorded: int
    printed: int = 0
    seconds: float = 0.0
    on_mutant: str = ""
    on_base: str = ""


def explain(name: str, tier: str = "standard") -> list[Explained]:
    """Return the first failure of each clause that must kill the mutant."""
    mutant = next(each for each in all_mutants() if each.name == name)
    loop = SuiteLoop()
    environment = Environment(name, mutant.harness, loop)
    try:
        environment.start()
        found = [
            _explained(mutant, clause, environment, tier) for clause in load_clauses() if clause.id in mutant.clauses
        ]
        environment.stop()
    except Exception as error:
        print(f"{name}: {error!r}", file=sys.stderr)
        return []
    finally:
        loop.close()
    return [each for each in found if each is not None]


def _explained(mutant: Mutant, clause: Clause, environment: Environment, tier: str) -> Explained | None:
    took: list[float] = []
    entries: list[int] = []

    def timed(measurement: Measurement, history: History, context: TestContext) -> None:
        start = perf_counter()
        entries.append(len(history.entries))
        reduce(measurement, history, context)
        took.append(perf_counter() - start)

    for test in clause.tests:
        seen = measure(suite_tests()[test], clause, environment, TIERS[tier], 0, destructive=True, reduce=timed)
        if seen.outcome is not Outcome.FAILED:
            continue
        found = Explained(mutant.name, clause.id, sum(entries[-1:]), seconds=sum(took[-1:]))
        if seen.scenario:
            found.printed = len(seen.history)
            found.on_mutant, found.on_base = (
                source(f"{kind.__module__}:{kind.__qualname__}", clause, seen.message, seen.scenario, "test.py", ".")
                for kind in (mutant.harness, base_of(mutant))
            )
        return found
    return None


def base_of(mutant: Mutant) -> type:
    """Return the correct harness that the mutant is a change of."""
    return next(each for each in mutant.harness.__mro__ if ".mutants." not in each.__module__)


def outcomes(sources: dict[str, str]) -> dict[str, bool]:
    """Run test files, and return which passed."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in sources.items():
            Path(folder, f"test_{name}.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir=.", "-p", "no:cacheprovider",
                   "-p", "no:randomly", "--tb=no", "--junitxml=junit.xml"]  # fmt: skip
        subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL)
        cases = ElementTree.parse(Path(folder, "junit.xml")).getroot().iter("testcase")
        return {each.attrib["classname"].removeprefix("test_"): len(each) == 0 or each.find("failure") is None
                for each in cases}  # fmt: skip


def main() -> int:
    """Print the figures; 1 if a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MUTANT")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth mutant")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    names = given.names or [each.name for each in all_mutants()][:: given.every]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn"), initializer=quietly) as pool:
        found = [each for one in pool.map(explain, names) for each in one]
    reduced = [each for each in found if each.printed]
    calls = sorted(each.printed for each in reduced)
    median, most = statistics.median(calls), calls[int(0.95 * (len(calls) - 1))]
    slow = sorted(each.seconds for each in found)[int(0.95 * (len(found) - 1))]
    print(f"{len(names)} mutants, {len(found)} failures, {len(reduced)} with a sequential history")
    print(f"recorded: median {statistics.median(each.recorded for each in reduced)} entries")
    print(f"printed: median {median}, 95th percentile {most}, longest {calls[-1]} calls")
    print(f"reduction: 95th percentile {slow:.2f} s, longest {max(each.seconds for each in found):.2f} s")
    print(*(f"  {each.printed} calls: {each.mutant} {each.clause}" for each in reduced if each.printed > 8), sep="\n")
    print(*(f"  {each.seconds:.1f} s: {each.mutant} {each.clause}" for each in found if each.seconds > 2.5), sep="\n")
    broken = outcomes({f"{each.mutant}_{each.clause.replace('-', '_')}": each.on_mutant for each in reduced})
    correct = outcomes({f"{each.mutant}_{each.clause.replace('-', '_')}": each.on_base for each in reduced})
    lost = [name for name, passed in broken.items() if passed]
    wrong = [name for name, passed in correct.items() if not passed]
    print(f"reproducers: {len(broken) - len(lost)} of {len(broken)} fail on the mutant, "
          f"{len(correct) - len(wrong)} of {len(correct)} pass on the correct store")  # fmt: skip
    print(*(f"  passes on the mutant: {name}" for name in lost), sep="\n")
    print(*(f"  fails on the correct store: {name}" for name in wrong), sep="\n")
    return int(median > 4 or most > 8 or bool(lost or wrong))


if __name__ == "__main__":
    raise SystemExit(main())
