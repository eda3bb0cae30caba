"""Measure a clause test on one backend: run its examples, and judge the result."""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_mcp_storage.engine.clause_tests import ClauseTest
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.executor import LONGEST_EXAMPLE, EndedByTimeout, Executor
from pytest_mcp_storage.engine.observing import Observation
from pytest_mcp_storage.engine.recording import OTHERS_DATA, History, blamed
from pytest_mcp_storage.engine.tiers import Tier
from pytest_mcp_storage.engine.timeouts import GRACE
from pytest_mcp_storage.engine.violation import NoReturn, Violation
from pytest_mcp_storage.spec.clauses import Clause
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import HarnessFault, NotMeasurable
from pytest_mcp_storage.spec.outcome import LEFT_OUT, Measurement, Outcome
from pytest_mcp_storage.spec.tracebacks import called_in, raised_at, traceback_of
from reference_backends import StorageError

Reduce = Callable[[Measurement, History, TestContext], None]
"""Adds to a failed measurement the smallest history that shows the failure. The context is a new one."""

UNMARKED = "names without the example's mark: the store may hold sessions of others under them"


def measure(
    test: ClauseTest,
    clause: Clause,
    environment: Environment,
    tier: Tier,
    seed: int,
    *,
    destructive: bool,
    reduce: Reduce | None = None,
) -> Measurement:
    """Run one test of one clause on one backend. ``reduce`` is called for a failure that can be replayed."""
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
    if test.unmarked and not context.store_is_ours:
        measurement.notes.append(f"{LEFT_OUT}{UNMARKED}")
        return measurement
    start = time.perf_counter()
    executor = Executor(test, context)
    try:
        executor.run()
    except BaseException:  # Ctrl-C: the user has waited long enough
        tidy(context, limit=GRACE)
        raise
    if executor.failure is None:
        measurement.observed = observed(test, context)
    tidy(context, limit=GRACE if isinstance(executor.failure, EndedByTimeout) else LONGEST_EXAMPLE)
    measurement.seconds = time.perf_counter() - start
    measurement.examples = executor.examples
    measurement.notes += context.notes
    if executor.failure is not None:
        _judge(measurement, executor.failure, context)
        measurement.history = executor.history
    replayable = measurement.outcome is Outcome.FAILED and not isinstance(executor.failure, (NoReturn, TimeoutError))
    if executor.failure and context.cancelled and blamed(executor.failure):
        replayable = False  # what a cancelled call left behind would fail a replay too, from its first call on
    if reduce and replayable and executor.recorded and not environment.hung:
        again = TestContext(environment, tier, seed, destructive=destructive)
        try:
            reduce(measurement, executor.recorded, again)
        finally:
            tidy(again, limit=LONGEST_EXAMPLE)
    return measurement


def observed(test: ClauseTest, context: TestContext) -> list[Measurement]:
    """Return what the environment's observer saw after the test, as measurements of the clauses that are broken."""
    environment = context.environment
    if environment.observer is None or environment.hung:
        return []
    try:
        seen: list[Observation] = environment.loop.run(environment.observer(context), limit=LONGEST_EXAMPLE)
    except Exception:  # HA-1 says what the harness can't show
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
    """Clean up after the test, and record in the environment whether the store prevents it."""
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


def _judge(measurement: Measurement, error: Exception, context: TestContext) -> None:
    """Say what an exception means: the store's failure, the harness's fault, or nothing measured."""
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
        measurement.outcome, measurement.message = Outcome.FAILED, f"{method} {describe(error)}"
        measurement.should = "not raise that"
        measurement.notes += _place(error)
        if context.cancelled:
            measurement.notes.append(f"before it, {context.cancelled}: see what that call leaves behind (CA-2)")
    elif isinstance(error, TimeoutError):
        measurement.outcome, measurement.message = Outcome.FAILED, f"the store hung: {error}"
        measurement.should = "answer"
    else:
        measurement.outcome = Outcome.NOT_MEASURED
        method = called_in(error)
        measurement.message = f"the harness or the suite broke down: {method and f'{method}() '}{describe(error)}"
        measurement.fault = traceback_of(error)


def _place(error: BaseException | None) -> list[str]:
    """Return the note that says where the store raised it; of a ``StorageError``, which is deliberate, its cause."""
    if not isinstance(error, StorageError):
        place = error and raised_at(error)
        return [f"raised at {place}"] if place else []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is None:
        return []
    place = raised_at(cause)
    return [f"caused by {type(cause).__name__}: {cause}{place and f', raised at {place}'}"]
