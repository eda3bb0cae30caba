"""From a clause's test to a measurement: the mark that makes one of a function, and the judgement of what it saw."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any, TypeVar

from hypothesis.strategies import SearchStrategy

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.executor import LONGEST_EXAMPLE, Executor
from pytest_mcp_storage.engine.observing import Observation
from pytest_mcp_storage.engine.recording import OTHERS_DATA, blamed
from pytest_mcp_storage.engine.tiers import Tier
from pytest_mcp_storage.engine.timeouts import GRACE
from pytest_mcp_storage.engine.tracebacks import raised_at
from pytest_mcp_storage.engine.violation import Violation, told
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clauses import Clause
from pytest_mcp_storage.spec.harness import HarnessFault, NotMeasurable
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
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
    parameters: list[dict[str, Any]]
    at_most: int | None
    waits: bool
    needs: frozenset[Capability] = frozenset()

    @property
    def name(self) -> str:
        """The function's own, by which the contract names the test."""
        return self.body.__name__

    def examples(self, environment: Environment, tier: Tier) -> int:
        """How many examples this test gets on this backend, in each of its turns."""
        if self.waits and Capability.CLOCK not in environment.harness.capabilities:
            return 1
        count = tier.examples if tier.unhurried else max(4, round(tier.examples * environment.pace))
        return ceil(min(count, self.at_most or count) / len(self.parameters))


def clause_test(
    clause: str,
    *,
    at_most: int | None = None,
    waits: bool = False,
    needs: Iterable[Capability] = (),
    **arguments: SearchStrategy[Any] | Every,
) -> Callable[[Body], Body]:
    """Mark a function as a test of ``clause``. It is handed a :class:`TestContext`, and an example of each strategy.

    An argument may also be :func:`every` one of some values, among which the examples are shared, one each at least.
    ``at_most``: no more examples than so many, for costly tests. ``waits``: it lets time pass, so that a store
    without CLOCK gets one example, in real time. ``needs``: capabilities beyond the clause's own, for a test that
    measures one of its ``optional_parts``.
    """
    strategies = {name: value for name, value in arguments.items() if not isinstance(value, Every)}
    taken = {name: value.values for name, value in arguments.items() if isinstance(value, Every)}
    parameters = [dict(zip(taken, values, strict=True)) for values in product(*taken.values())]

    def mark(body: Body) -> Body:
        test = ClauseTest(clause, body, strategies, parameters, at_most, waits, frozenset(needs))
        body.__clause_test__ = test  # type: ignore[attr-defined]
        return body

    return mark


def tests_in(module: object) -> list[ClauseTest]:
    """The clause tests of a suite module, in the order in which they stand there."""
    return [value.__clause_test__ for value in vars(module).values() if hasattr(value, "__clause_test__")]


def measure(
    test: ClauseTest, clause: Clause, environment: Environment, tier: Tier, seed: int, *, destructive: bool
) -> Measurement:
    """Run one test of one clause on one backend."""
    capabilities = environment.harness.capabilities
    measurement = Measurement(clause.id, test.name, Outcome.PASSED, notes=list(clause.left_out(capabilities)))
    if missing := (clause.needs | test.needs) - capabilities:
        measurement.outcome = Outcome.NOT_APPLICABLE
        measurement.message = f"needs {', '.join(sorted(each.name for each in missing))}"
        measurement.notes = []
        return measurement
    context = TestContext(environment, tier, seed, destructive=destructive)
    if clause.store_wide and not context.store_is_ours:
        measurement.outcome = Outcome.NOT_MEASURED
        measurement.message = f"it touches the whole store, {OTHERS_DATA}"
        return measurement
    start = time.perf_counter()
    executor = Executor(test, context)
    try:
        executor.run()
    except BaseException:  # Ctrl-C: whoever waits at the terminal has waited long enough
        tidy(context, limit=GRACE)
        raise
    if executor.failure is None:
        measurement.observed = _observed(test, context)
    tidy(context, limit=LONGEST_EXAMPLE)
    measurement.seconds = time.perf_counter() - start
    measurement.examples = executor.examples
    measurement.notes += context.notes
    if executor.failure is not None:
        _judge(measurement, executor.failure)
        measurement.history = executor.history
    return measurement


def _observed(test: ClauseTest, context: TestContext) -> list[Measurement]:
    """Return what the environment's observer saw after the test, as measurements of the clauses that are broken."""
    environment = context.environment
    if environment.observer is None or environment.hung:
        return []
    try:
        seen: list[Observation] = environment.loop.run(environment.observer(context), limit=LONGEST_EXAMPLE)
    except Exception:  # what the harness can't show is for HA-1 to say
        return []
    return [
        Measurement(
            each.clause,
            test.name,
            Outcome.FAILED,
            f"after {test.name} ({test.clause}): {each.seen}",
            each.should,
            notes=[f"observed after a test of {test.clause}: to see it again, run that clause"],
        )
        for each in seen
        if each.clause != test.clause
    ]


def tidy(context: TestContext, *, limit: float) -> None:
    """Tidy up after the test, and tell the environment where the store does not let one."""
    environment = context.environment
    environment.hung = environment.hung or not environment.loop.answers()
    if environment.hung:
        return
    try:
        environment.loop.run(context.tidy(), limit=limit)
    except BaseException as error:
        environment.hung = True
        if not isinstance(error, TimeoutError):
            raise


def _judge(measurement: Measurement, error: Exception) -> None:
    """Say what an exception means: the store's fault, the harness's, or nothing that could be seen."""
    method = blamed(error)
    if isinstance(error, NotMeasurable):
        measurement.outcome, measurement.message = Outcome.NOT_MEASURED, error.reason
    elif isinstance(error, HarnessFault):
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
