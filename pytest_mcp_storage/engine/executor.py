"""Run the examples of a test until one fails, and keep the shortest failing one."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import HypothesisException
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy, binary, fixed_dictionaries

from pytest_mcp_storage.engine.clause_tests import ClauseTest
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import LONGEST_CALL, History
from pytest_mcp_storage.engine.violation import NoReturn
from pytest_mcp_storage.spec.harness import NotMeasurable

LONGEST_EXAMPLE = 600.0
"""Seconds after which an example counts as hung."""


SCHEDULE = "schedule of ready tasks"
"""The name under which a schedule is drawn; no argument of a test can have it."""


MOMENTS = 150
"""Moments of an example at which a task may overtake others; later ones keep the order."""


class OutOfTime(BaseException):
    """Ends an execution that has used its time; Hypothesis passes it on."""


class EndedByTimeout(Exception):
    """The run's own limit for a test, such as pytest-timeout's, has ended the execution."""


class Executor:
    """The examples of one test, and the shortest failing one of them."""

    def __init__(self, test: ClauseTest, context: TestContext) -> None:
        self.test = test
        self.context = context
        self.examples = 0
        self.failure: Exception | None = None
        self.history: list[str] = []
        self.recorded: History | None = None
        """What was recorded of the failing example."""
        self._deadline = float("inf")
        self._shortest = float("inf")

    def run(self) -> None:
        """Run examples until one fails, or all have passed."""
        try:
            if self.test.strategies:
                self._execute_examples()
            else:
                self._once()
        except OutOfTime:
            pass
        except (Exception, pytest.fail.Exception) as error:
            if timeout := _timeout_in(error):
                self.failure, self.history = EndedByTimeout(str(timeout)), self.context.history.lines()
            elif not isinstance(error, Exception):
                raise
            elif self.failure is None:
                self.failure = error

    def begin(self) -> None:
        """Start an example. Raise :class:`OutOfTime` if the time for shrinking has passed."""
        if time.monotonic() > self._deadline:
            raise OutOfTime
        self.examples += 1
        self.context.begin()

    def call(self, work: Callable[[], Any]) -> Any:
        """Run one part of an example, await its result, and keep what it shows if it fails."""
        try:
            result = work()
            if inspect.isawaitable(result):
                return self.context.environment.loop.run(_awaited(result), limit=LONGEST_EXAMPLE, look=self._look)
        except HypothesisException:
            raise
        except pytest.fail.Exception as error:  # raised here by a signal: errors of the store are contained
            self.failure, self.history = EndedByTimeout(str(error)), self.context.history.lines()
            raise OutOfTime from None  # Hypothesis would take it for the store's failure and try it again
        except Exception as error:
            self._keep(error)
            raise
        return result

    def settings(self) -> settings:
        """Return Hypothesis's settings for this test and backend, independent of the user's profile."""
        tier = self.context.tier
        return settings(
            max_examples=self.test.examples(self.context.environment, tier),
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

    def _execute_examples(self) -> None:
        strategies = self.test.strategies | ({SCHEDULE: schedules()} if self.test.shuffled else {})
        drawn = fixed_dictionaries(strategies)
        for number, taken in enumerate(self.test.parameters):
            self.context.begun = 0
            seed(self.context.seed + number)(self.settings()(given(drawn)(self._example_of(taken))))()

    def drawn(self) -> list[dict[str, Any]]:
        """Draw the arguments of each example without running one: of a test that gets one for each parameter set."""
        return [each for number, taken in enumerate(self.test.parameters) for each in self._drawn(number, taken)]

    def _drawn(self, number: int, taken: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []

        def keep(drawn: dict[str, Any]) -> None:
            found.append({**drawn, **taken})

        strategies = fixed_dictionaries(self.test.strategies)
        seed(self.context.seed + number)(self.settings()(given(strategies)(keep)))()
        return found

    def _example_of(self, taken: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        def example(drawn: dict[str, Any]) -> None:
            self.begin()
            order = drawn.pop(SCHEDULE, ())
            self.call(lambda: self._scheduled(order, {**self.context.own(drawn), **taken}))

        return example

    def _scheduled(self, order: Sequence[int], arguments: dict[str, Any]) -> Any:
        """Run the test's body; if ``order`` has numbers, they decide the order of the tasks that are ready."""
        work = self.test.body(self.context, **arguments)
        if not any(order):
            return work
        switches = sum(map(bool, order))
        self.context.history.note(f"… ready tasks overtake each other at up to {switches} drawn moments …")
        return self._on_schedule(work, order)

    async def _on_schedule(self, work: Any, order: Sequence[int]) -> Any:
        with self.context.environment.loop.schedule(order):
            return await work

    def _once(self) -> None:
        self.context.begun = 0
        self.begin()
        result = self.call(lambda: self.test.body(self.context))
        if isinstance(result, type) and issubclass(result, RuleBasedStateMachine):
            self.examples = 0
            machine: Any = type(result.__name__, (result,), {"executor": self, "context": self.context})
            try:
                run_state_machine_as_test(seed(self.context.seed)(machine), settings=self.settings())
            finally:
                del machine.executor, machine.context  # Hypothesis keeps the class for ever

    def _look(self) -> None:
        """Raise :class:`NoReturn` if a call does not end when it is cancelled; the store is not called again."""
        if call := self.context.history.stuck():
            environment = self.context.environment
            environment.hung = True
            how = "ignores its cancellation" if environment.loop.answers() else "blocks the event loop"
            raise NoReturn(f"{call.method} did not return within {LONGEST_CALL:g} s, and {how}", should="return")

    def _keep(self, error: Exception) -> None:
        lines = getattr(error, "history", []) or self.context.history.lines()
        length = len(self.context.history.entries) * 1000 + sum(map(len, lines))
        if length <= self._shortest:
            self.failure, self.history, self._shortest = error, lines, length
            self.recorded = self.context.history
        nothing_smaller = isinstance(error, (NotMeasurable, TimeoutError, NoReturn)) or self.test.at_most == 1
        self._deadline = min(self._deadline, time.monotonic() + (0 if nothing_smaller else self.context.tier.shrinking))


def schedules() -> SearchStrategy[list[int]]:
    """Return schedules in which half of the moments let another task run first; they shrink to few such moments."""
    return binary(min_size=MOMENTS // 4, max_size=MOMENTS).map(
        lambda drawn: [byte % 4 if byte >= 128 else 0 for byte in drawn]
    )


def _timeout_in(error: BaseException | None) -> BaseException | None:
    """Return the failure by which pytest-timeout ended a draw; Hypothesis hides it in groups and as a cause."""
    if error is None or (isinstance(error, pytest.fail.Exception) and "imeout" in str(error)):
        return error
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else (error.__cause__,)
    return next((found for each in parts if (found := _timeout_in(each))), None)


async def _awaited(result: Any) -> Any:
    return await result
