"""Measure the tests that wait for real time all at once: a store without CLOCK then waits a few seconds, not a minute.

They share one handle and keep to their own names. What passes in company has passed. What does not may have been
disturbed by the others, so it is measured again, alone.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pytest

from pytest_mcp_storage.engine.clause_tests import ClauseTest
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.executor import LONGEST_EXAMPLE, Executor
from pytest_mcp_storage.engine.measure import observed, tidy
from pytest_mcp_storage.engine.recording import HandleOptions, RecordingBackend
from pytest_mcp_storage.engine.tiers import Tier
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clauses import Clause
from pytest_mcp_storage.spec.harness import BackendHarness, NotMeasurable
from pytest_mcp_storage.spec.outcome import Measurement, Outcome

ALONE = "not together with other tests"
FAULTS = ("outage", "lost_answer", "fail_request")
"""Methods of a harness that disturb every handle on the store."""


def can_wait_together(test: ClauseTest, clause: Clause, environment: Environment) -> bool:
    """Say whether the test waits for real time on this store, and for nothing that concerns the others."""
    capabilities = environment.harness.capabilities
    waits = test.waits and not test.shuffled and Capability.CLOCK not in capabilities
    return waits and not clause.store_wide and not test.unmarked and (clause.needs | test.needs) <= capabilities


def measure_together(
    tests: Sequence[tuple[ClauseTest, Clause]], environment: Environment, tier: Tier, seed: int, *, destructive: bool
) -> dict[str, Measurement]:
    """Run all examples of all these tests at once. Return the tests whose examples have all passed, by name."""
    first = TestContext(environment, tier, seed, destructive=destructive)
    drawn = [(test, clause, each) for test, clause in tests for each in Executor(test, first).drawn()]
    examples: list[_Example] = []
    start = time.perf_counter()
    try:
        with suppress(Exception, pytest.fail.Exception):  # each test will show by itself what is wrong
            handle = environment.loop.run(first.store(), limit=LONGEST_EXAMPLE)
            examples += [_Example(test, clause, each, _Context(first, handle)) for test, clause, each in drawn]
            environment.loop.run(_all(examples), limit=LONGEST_EXAMPLE)
        for one in examples:
            one.observe()
    finally:
        for context in [*(one.context for one in examples), first]:
            tidy(context, limit=LONGEST_EXAMPLE)
    return _passed(examples, time.perf_counter() - start)


async def _all(examples: Sequence[_Example]) -> None:
    await asyncio.gather(*(each.run() for each in examples))


def _passed(examples: Sequence[_Example], seconds: float) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    for name, group in groupby(examples, lambda each: each.test.name):
        those = list(group)
        if all(each.passed for each in those):
            capabilities = those[0].context.harness.capabilities
            notes = dict.fromkeys(note for each in those for note in each.context.notes)
            found[name] = Measurement(
                those[0].clause.id,
                name,
                Outcome.PASSED,
                notes=[*those[0].clause.left_out(capabilities), *notes],
                examples=len(those),
                seconds=seconds * len(those) / len(examples),
                observed=[seen for each in those for seen in each.observed],
            )
    return found


@dataclass
class _Example:
    """One example of a test, and whether it has passed."""

    test: ClauseTest
    clause: Clause
    drawn: dict[str, Any]
    context: _Context
    passed: bool = False
    observed: list[Measurement] = field(default_factory=list)

    async def run(self) -> None:
        with suppress(Exception):
            result = self.test.body(self.context, **self.context.own(self.drawn))
            if inspect.isawaitable(result):
                await result
            self.passed = True

    def observe(self) -> None:
        if self.passed:
            self.observed = observed(self.test, self.context)


class _Context(TestContext):
    """A test's context with a handle that the other tests use too."""

    def __init__(self, first: TestContext, handle: RecordingBackend) -> None:
        super().__init__(first.environment, first.tier, first.seed, destructive=first.destructive)
        self._shared = handle
        self.harness: Any = _Faultless(first.harness)

    async def open(
        self,
        *keys: str,
        name: str = "",
        default_ttl: float | None = None,
        real_time: bool = False,
        harness: BackendHarness | None = None,
    ) -> RecordingBackend:
        usual = keys == self.usual_keys and default_ttl is None and harness is None
        if usual and name == "store":
            handle = _Handle(
                self._shared.backend,
                name,
                lambda: self.history,
                self.environment.lost_a_call,
                protects_others=True,
                sealed=bool(keys),
                opened=HandleOptions(keys),
            )
            self._opened_now.append(handle)
            return handle
        if not self.can(Capability.SHARED):
            raise NotMeasurable(ALONE)
        return await super().open(*keys, name=name, default_ttl=default_ttl, real_time=real_time, harness=harness)

    async def tidy(self) -> None:
        note = await self._cleanup.remove_sessions([*self._handles, self._shared], self._histories, self.open)
        self.notes += [note] if note else []
        for handle in [*self._handles, *self._others]:
            await self._cleanup.attempt(handle.backend.disconnect)


class _Handle(RecordingBackend):
    """The shared handle: nobody closes it."""

    async def init(self) -> None:
        raise NotMeasurable(ALONE)

    async def disconnect(self) -> None:
        raise NotMeasurable(ALONE)


class _Faultless:
    """The harness, without the faults that would hit the other tests too."""

    def __init__(self, harness: BackendHarness) -> None:
        self._harness = harness

    def __getattr__(self, name: str) -> Any:
        if name in FAULTS:
            raise NotMeasurable(ALONE)
        return getattr(self._harness, name)
