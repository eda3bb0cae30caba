"""The search among a test's examples for one that fails, and for the shortest of those."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import HypothesisException
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from hypothesis.strategies import fixed_dictionaries

from pytest_mcp_storage.harness import NotMeasurable
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import NoReturn
from pytest_mcp_storage.measuring.witness import LONGEST_CALL

if TYPE_CHECKING:
    from pytest_mcp_storage.measuring.measure import ClauseTest

LONGEST_EXAMPLE = 600.0
"""Seconds after which an example counts as hung."""


class Enough(BaseException):
    """Ends a search that has had its time; hypothesis lets it through."""


class EndedByTimeout(Exception):
    """The run's own limit for a test, as pytest-timeout sets it, has ended the search."""


class Search:
    """The examples of one test, and the shortest failing one of them."""

    def __init__(self, test: ClauseTest, trial: Trial) -> None:
        self.test = test
        self.trial = trial
        self.examples = 0
        self.failure: Exception | None = None
        self.history: list[str] = []
        self._deadline = float("inf")
        self._shortest = float("inf")

    def run(self) -> None:
        """Search until an example fails, or all have passed."""
        try:
            if self.test.strategies:
                self._search_examples()
            else:
                self._once()
        except Enough:
            pass
        except (Exception, pytest.fail.Exception) as error:
            if timeout := _timeout_in(error):
                self.failure, self.history = EndedByTimeout(str(timeout)), self.trial.history.lines()
            elif not isinstance(error, Exception):
                raise
            elif self.failure is None:
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
        except pytest.fail.Exception as error:  # raised here by a signal: what the store raises is contained
            self.failure, self.history = EndedByTimeout(str(error)), self.trial.history.lines()
            raise Enough from None  # hypothesis would take it for the store's failure, and try it again
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
            machine = type(result.__name__, (result,), {"search": self, "trial": self.trial})
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


def _timeout_in(error: BaseException) -> BaseException | None:
    """Return the failure by which pytest-timeout ended a draw, which hypothesis wraps in its own."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := _timeout_in(each))), None)
    return error if isinstance(error, pytest.fail.Exception) and "imeout" in str(error) else None


async def _awaited(result: Any) -> Any:
    return await result
