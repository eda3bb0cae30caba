"""The hunt: each broken store before the clauses that must catch it, each sound one before all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib import import_module

from pytest_mcp_storage.clauses import Clause, load_clauses
from pytest_mcp_storage.measuring.bench import Bench
from pytest_mcp_storage.measuring.loop import SuiteLoop
from pytest_mcp_storage.measuring.measure import ClauseTest, measure, tests_in
from pytest_mcp_storage.measuring.tiers import TIERS
from pytest_mcp_storage.outcome import Measurement, Outcome
from pytest_mcp_storage.running.suite_paths import suite_files
from pytest_mcp_storage.zoo.specimens import Specimen, defects, sound


@dataclass
class Catch:
    """What the hunt for one specimen brought.

    ``by``: the clauses that failed it, in the order in which they did. ``examples`` and ``seconds``: from the start of
    the first named clause to its first failing test. ``tier``: at which it was caught. ``faults``: clauses that could
    not be measured, and what its harness raised.
    """

    specimen: str
    named: tuple[str, ...]
    tier: str
    by: list[str] = field(default_factory=list)
    examples: int = 0
    seconds: float = 0.0
    message: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def caught(self) -> bool:
        """Whether every clause that names it failed it."""
        return bool(self.named) and set(self.named) <= set(self.by)

    @property
    def spared(self) -> bool:
        """Whether it is sound, and every clause could be measured and passed it."""
        return not (self.named or self.by or self.faults)


def hunt(name: str, *, tiers: tuple[str, ...] = ("smoke", "standard"), seed: int = 0, every: bool = False) -> Catch:
    """Put the specimen of that name before its clauses, at one tier after another until they catch it.

    ``every``: before all clauses, at the last tier alone. A sound specimen always meets all of them, at the first tier.
    """
    specimen = next(each for each in (*defects(), *sound()) if each.name == name)
    whole = every or not specimen.clauses
    catch = Catch(name, specimen.clauses, tiers[-1])
    for tier in tiers[:1] if not specimen.clauses else tiers[-1:] if every else tiers:
        catch = Catch(name, specimen.clauses, tier)
        _judge(specimen, catch, [each for each in load_clauses() if whole or each.id in specimen.clauses], tier, seed)
        if catch.caught:
            break
    return catch


def _judge(specimen: Specimen, catch: Catch, clauses: list[Clause], tier: str, seed: int) -> None:
    loop = SuiteLoop()
    bench = Bench(specimen.name, specimen.harness, loop)
    start = time.perf_counter()
    try:
        bench.start()
        try:
            for clause in clauses:
                _put_before(clause, bench, catch, tier, seed, start)
        finally:
            bench.stop()
    except Exception as error:  # a harness of ours that can't make its store, or end it: told with the other holes
        catch.faults.append(f"the harness failed: {error!r}")
    finally:
        loop.close()


def _put_before(clause: Clause, bench: Bench, catch: Catch, tier: str, seed: int, start: float) -> None:
    tests = suite_tests()
    for name in clause.tests:
        seen: Measurement = measure(tests[name], clause, bench, TIERS[tier], seed, destructive=True)
        if not catch.by:
            catch.examples += seen.examples
        if seen.outcome is Outcome.FAILED:
            if not catch.by:
                catch.seconds, catch.message = time.perf_counter() - start, seen.message
            catch.by.append(clause.id)
            return
        if seen.outcome is Outcome.NOT_MEASURED:
            catch.faults.append(f"{clause.id}: {seen.message}")


def suite_tests() -> dict[str, ClauseTest]:
    """Every test of the suite, by name."""
    names = [path.rpartition("/")[2].removesuffix(".py") for path in suite_files()]
    modules = [import_module(f"pytest_mcp_storage.suite.{name}") for name in names]
    return {test.name: test for module in modules for test in tests_in(module)}
