"""From a clause's test to a measurement: the decorator that marks the tests, and the run of one of them."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import HypothesisException
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy, fixed_dictionaries

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.clauses import Clause
from pytest_mcp_storage.harness import NotMeasurable
from pytest_mcp_storage.measuring.bench import Bench
from pytest_mcp_storage.measuring.patience import GRACE
from pytest_mcp_storage.measuring.places import raised_at
from pytest_mcp_storage.measuring.tiers import Tier
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import NoReturn, Violation, told
from pytest_mcp_storage.measuring.witness import LONGEST_CALL
from pytest_mcp_storage.outcome import Measurement, Outcome
from reference_backends import StorageError

Body = TypeVar("Body", bound=Callable[..., Any])

LONGEST_EXAMPLE = 600.0
"""Seconds after which an example counts as hung."""


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
        measurement.message = (
            "it touches the whole store, which may hold others' data: --mcp-allow-destructive allows it"
        )
        return measurement
    start = time.perf_counter()
    run = Run(test, trial)
    try:
        run.all()
    except BaseException:  # Ctrl-C: whoever waits at the terminal has waited long enough
        tidy(trial, limit=GRACE)
        raise
    tidy(trial, limit=LONGEST_EXAMPLE)
    measurement.seconds = time.perf_counter() - start
    measurement.examples = run.examples
    measurement.notes += trial.notes
    if run.failure is not None:
        _judge(measurement, run.failure)
        measurement.history = run.history
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


class Enough(BaseException):
    """Ends a search that has had its time; hypothesis lets it through."""


class Run:
    """The examples of one test, and the shortest failing one of them."""

    def __init__(self, test: ClauseTest, trial: Trial) -> None:
        self.test = test
        self.trial = trial
        self.examples = 0
        self.failure: Exception | None = None
        self.history: list[str] = []
        self._deadline = float("inf")
        self._shortest = float("inf")

    def all(self) -> None:
        """Search until an example fails, or all have passed."""
        try:
            if self.test.strategies:
                self._search_examples()
            else:
                self._once()
        except Enough:
            pass
        except Exception as error:
            if self.failure is None:
                self.failure = error

    def begin(self) -> None:
        """Start an example. Raises :class:`Enough` where shrinking has had its time."""
        if time.monotonic() > self._deadline:
            raise Enough
        self.examples += 1
        self.trial.begin()

    def call(self, work: Callable[[], Any]) -> Any:
        """Do a piece of an example, await what it returns, and keep what it shows where it fails."""
        try:
            result = work()
            if inspect.isawaitable(result):
                return self.trial.bench.loop.run(_awaited(result), limit=LONGEST_EXAMPLE, look=self._look)
        except HypothesisException:
            raise
        except Exception as error:
            self._keep(error)
            raise
        return result

    def settings(self) -> settings:
        """Hypothesis's settings for this test on this backend: ours alone, whatever profile the user has loaded."""
        tier = self.trial.tier
        return settings(
            max_examples=self.test.examples(self.trial.bench, tier),
            stateful_step_count=tier.steps,
            phases=(Phase.generate, Phase.shrink),
            deadline=None,
            database=None,
            derandomize=False,
            report_multiple_bugs=False,
            print_blob=False,
            backend="hypothesis",
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )

    def _search_examples(self) -> None:
        drawn = fixed_dictionaries(self.test.strategies)
        for number, taken in enumerate(self.test.turns):
            seed(self.trial.seed + number)(self.settings()(given(drawn)(self._example_of(taken))))()

    def _example_of(self, taken: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        def example(drawn: dict[str, Any]) -> None:
            self.begin()
            self.call(lambda: self.test.body(self.trial, **self.trial.own(drawn), **taken))

        return example

    def _once(self) -> None:
        self.begin()
        result = self.call(lambda: self.test.body(self.trial))
        if isinstance(result, type) and issubclass(result, RuleBasedStateMachine):
            self.examples = 0
            machine = type(result.__name__, (result,), {"run": self, "trial": self.trial})
            run_state_machine_as_test(seed(self.trial.seed)(machine), settings=self.settings())

    def _look(self) -> None:
        """Raises :class:`NoReturn` where a call does not even end when it is cancelled; the store is asked no more."""
        if call := self.trial.history.stuck():
            bench = self.trial.bench
            bench.hung = True
            how = "does not let itself be cancelled" if bench.loop.answers() else "blocks the event loop"
            raise NoReturn(f"{call.method} did not return within {LONGEST_CALL:g} s, and {how}", should="return")

    def _keep(self, error: Exception) -> None:
        lines = getattr(error, "history", []) or self.trial.history.lines()
        length = len(self.trial.history.entries) * 1000 + sum(map(len, lines))
        if length <= self._shortest:
            self.failure, self.history, self._shortest = error, lines, length
        nothing_smaller = isinstance(error, (NotMeasurable, TimeoutError, NoReturn)) or self.test.at_most == 1
        self._deadline = min(self._deadline, time.monotonic() + (0 if nothing_smaller else self.trial.tier.shrinking))


async def _awaited(result: Any) -> Any:
    return await result


def _judge(measurement: Measurement, error: Exception) -> None:
    """Say what an exception means: the store's fault, the harness's, or nothing that could be seen."""
    method = getattr(error, "__mcp_call__", "")
    if isinstance(error, NotMeasurable):
        measurement.outcome, measurement.message = Outcome.NOT_MEASURED, error.reason
    elif getattr(error, "harness_fault", False):
        measurement.outcome, measurement.message = Outcome.NOT_MEASURED, f"the harness broke down: {error}"
        measurement.fault = "".join(traceback.format_exception(error))
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
        measurement.message = f"the harness or the suite broke down: {told(error)}"
        measurement.fault = "".join(traceback.format_exception(error))


def _place(error: BaseException | None) -> list[str]:
    """The note where the store raised it; none for a :class:`StorageError`, which it raised on purpose."""
    if error is None or isinstance(error, StorageError):
        return []
    return [f"raised at {place}" for place in [raised_at(error)] if place]
