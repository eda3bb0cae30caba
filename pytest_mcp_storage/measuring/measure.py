"""From a clause's test to a measurement: the mark that makes one of a function, and the judgement of what it saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any, TypeVar

from hypothesis.strategies import SearchStrategy

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.clauses import Clause
from pytest_mcp_storage.harness import HarnessFault, NotMeasurable
from pytest_mcp_storage.measuring.bench import Bench
from pytest_mcp_storage.measuring.patience import GRACE
from pytest_mcp_storage.measuring.places import called_in, raised_at, traceback_of
from pytest_mcp_storage.measuring.search import LONGEST_EXAMPLE, EndedByTimeout, Search
from pytest_mcp_storage.measuring.tiers import Tier
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation, told
from pytest_mcp_storage.measuring.witness import OTHERS_DATA, blamed
from pytest_mcp_storage.outcome import Measurement, Outcome
from reference_backends import StorageError

Body = TypeVar("Body", bound=Callable[..., Any])


@dataclass(frozen=True)
class Every:
    """Values that are not drawn but taken one after the other: few examples draw some of them never."""

    values: tuple[Any, ...]


def every(*values: Any) -> Every:
    """Share a test's examples among these values; each gets one at least."""
    return Every(values)


@dataclass(frozen=True)
class ClauseTest:
    """A test of the suite: the clause that it measures, what it draws, and what it takes in turn."""

    clause: str
    body: Callable[..., Any]
    strategies: dict[str, SearchStrategy[Any]]
    turns: list[dict[str, Any]]
    at_most: int | None
    waits: bool
    needs: frozenset[Capability] = frozenset()

    @property
    def name(self) -> str:
        """The function's own, by which the contract names the test."""
        return self.body.__name__

    def examples(self, bench: Bench, tier: Tier) -> int:
        """How many examples this test gets on this backend, in each of its turns."""
        if self.waits and Capability.CLOCK not in bench.harness.capabilities:
            return 1
        count = tier.examples if tier.unhurried else max(4, round(tier.examples * bench.pace))
        return ceil(min(count, self.at_most or count) / len(self.turns))


def measures(
    clause: str,
    *,
    at_most: int | None = None,
    waits: bool = False,
    needs: Iterable[Capability] = (),
    **arguments: SearchStrategy[Any] | Every,
) -> Callable[[Body], Body]:
    """Mark a function as a test of ``clause``. It is handed a :class:`Trial`, and an example of each strategy.

    An argument may also be :func:`every` one of some values, among which the examples are shared, one each at least.
    ``at_most``: no more examples than so many, for costly tests. ``waits``: it lets time pass, so that a store
    without CLOCK gets one example, in real time. ``needs``: capabilities beyond the clause's own, for a test that
    measures one of its ``halves``.
    """
    strategies = {name: value for name, value in arguments.items() if not isinstance(value, Every)}
    taken = {name: value.values for name, value in arguments.items() if isinstance(value, Every)}
    turns = [dict(zip(taken, values, strict=True)) for values in product(*taken.values())]

    def mark(body: Body) -> Body:
        test = ClauseTest(clause, body, strategies, turns, at_most, waits, frozenset(needs))
        body.__clause_test__ = test  # type: ignore[attr-defined]
        return body

    return mark


def tests_in(module: object) -> list[ClauseTest]:
    """The clause tests of a suite module, in the order in which they stand there."""
    return [value.__clause_test__ for value in vars(module).values() if hasattr(value, "__clause_test__")]


def measure(test: ClauseTest, clause: Clause, bench: Bench, tier: Tier, seed: int, *, destructive: bool) -> Measurement:
    """Run one test of one clause on one backend."""
    capabilities = bench.harness.capabilities
    measurement = Measurement(clause.id, test.name, Outcome.PASSED, notes=list(clause.left_out(capabilities)))
    if missing := (clause.needs | test.needs) - capabilities:
        measurement.outcome = Outcome.NOT_APPLICABLE
        measurement.message = f"needs {', '.join(sorted(each.name for each in missing))}"
        measurement.notes = []
        return measurement
    trial = Trial(bench, tier, seed, destructive=destructive)
    if clause.store_wide and not trial.store_is_ours:
        measurement.outcome = Outcome.NOT_MEASURED
        measurement.message = f"it touches the whole store, {OTHERS_DATA}"
        return measurement
    start = time.perf_counter()
    search = Search(test, trial)
    try:
        search.run()
    except BaseException:  # Ctrl-C: whoever waits at the terminal has waited long enough
        tidy(trial, limit=GRACE)
        raise
    tidy(trial, limit=GRACE if isinstance(search.failure, EndedByTimeout) else LONGEST_EXAMPLE)
    measurement.seconds = time.perf_counter() - start
    measurement.examples = search.examples
    measurement.notes += trial.notes
    if search.failure is not None:
        _judge(measurement, search.failure)
        measurement.history = search.history
    return measurement


def tidy(trial: Trial, *, limit: float) -> None:
    """Tidy up after the test, and tell the bench where the store does not let one."""
    bench = trial.bench
    bench.hung = bench.hung or not bench.loop.answers()
    if bench.hung:
        return
    try:
        bench.loop.run(trial.tidy(), limit=limit)
    except BaseException as error:
        bench.hung = True
        if not isinstance(error, TimeoutError):
            raise


def _judge(measurement: Measurement, error: Exception) -> None:
    """Say what an exception means: the store's fault, the harness's, or nothing that could be seen."""
    method = blamed(error)
    if isinstance(error, NotMeasurable):
        measurement.outcome, measurement.message = Outcome.NOT_MEASURED, error.reason
    elif isinstance(error, EndedByTimeout):
        measurement.outcome = Outcome.NOT_MEASURED
        measurement.message = measurement.fault = f"the run's own timeout ended the test: {error}"
    elif isinstance(error, HarnessFault):
        measurement.outcome, measurement.message = Outcome.NOT_MEASURED, f"the harness broke down: {error}"
        measurement.fault = traceback_of(error)
    elif isinstance(error, Violation):
        measurement.outcome, measurement.message, measurement.should = Outcome.FAILED, error.seen, error.should
        measurement.notes += _place(error.__cause__)
    elif method:
        measurement.outcome, measurement.message = Outcome.FAILED, f"{method} {told(error)}"
        measurement.should = "not raise that"
        measurement.notes += _place(error)
    elif isinstance(error, TimeoutError):
        measurement.outcome, measurement.message = Outcome.FAILED, f"the store hung: {error}"
        measurement.should = "answer"
    else:
        measurement.outcome = Outcome.NOT_MEASURED
        method = called_in(error)
        measurement.message = f"the harness or the suite broke down: {method and f'{method}() '}{told(error)}"
        measurement.fault = traceback_of(error)


def _place(error: BaseException | None) -> list[str]:
    """The note where the store raised it; none for a :class:`StorageError`, which it raised on purpose."""
    if error is None or isinstance(error, StorageError):
        return []
    return [f"raised at {place}" for place in [raised_at(error)] if place]
