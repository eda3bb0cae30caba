"""A failing history is reduced to the calls and arguments that matter, and the result is confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.recording import HandleOptions
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.oracle.reduction import reduce, still_fails
from pytest_mcp_storage.oracle.scenario import Scenario, Step
from pytest_mcp_storage.oracle.simplification import bold
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
from pytest_mcp_storage.zoo.registry import all_mutants
from pytest_mcp_storage.zoo.run import suite_tests

CLAUSES = {clause.id: clause for clause in load_clauses()}


@pytest.fixture
def loop() -> Iterator[SuiteLoop]:
    loop = SuiteLoop()
    yield loop
    loop.close()


def failure(loop: SuiteLoop, mutant: str, clause: str) -> tuple[Measurement, Environment]:
    """Return the first failure of the clause on the mutant, and its environment, which the test stops."""
    harness = next(each.harness for each in all_mutants() if each.name == mutant)
    environment = Environment(mutant, harness, loop)
    environment.start()
    for test in CLAUSES[clause].tests:
        seen = measure(
            suite_tests()[test], CLAUSES[clause], environment, TIERS["smoke"], 0, destructive=True, reduce=reduce
        )
        if seen.outcome is Outcome.FAILED:
            return seen, environment
    raise AssertionError(f"{clause} did not fail on {mutant}")


@pytest.mark.parametrize(
    ("mutant", "clause", "kind", "calls"),
    [
        ("ServesUntilCleanup", "EX-2", "expired", 2),
        ("UpdateOfTheExpiredSucceeds", "EX-3", "accepted expired", 2),
        ("InsertsOrIgnores", "LC-1", "no SessionExistsError", 2),
        ("RemovesTheWholeIdentity", "LC-8", "missing", 4),
        ("FindsByIdAlone", "ID-5", "unknown", 2),
        ("SecondsOrMilliseconds", "RT-7", "changed created_at", 2),
    ],
)
def test_only_the_calls_that_matter_remain(loop: SuiteLoop, mutant: str, clause: str, kind: str, calls: int) -> None:
    seen, environment = failure(loop, mutant, clause)
    environment.stop()
    assert seen.scenario["finding"]["kind"] == kind
    assert len(seen.history) <= calls, seen.history
    assert "alice" in seen.history[0]


def test_a_reduced_history_travels_as_json_and_still_fails(loop: SuiteLoop) -> None:
    from pytest_mcp_storage.engine.context import TestContext

    seen, environment = failure(loop, "InsertsOrIgnores", "LC-1")
    kept = Measurement.from_json(seen.to_json()).scenario
    context = TestContext(environment, TIERS["smoke"], 0, destructive=True)
    assert Scenario.from_json(kept).to_json()["steps"] == kept["steps"]
    assert still_fails(kept, context)
    environment.stop()


def test_the_same_calls_pass_on_a_correct_store(loop: SuiteLoop) -> None:
    from pytest_mcp_storage.engine.context import TestContext
    from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness

    seen, environment = failure(loop, "ServesUntilCleanup", "EX-2")
    environment.stop()
    correct = Environment("correct", InMemoryHarness, loop)
    correct.start()
    assert not still_fails(seen.scenario, TestContext(correct, TIERS["smoke"], 0, destructive=True))
    correct.stop()


def test_a_failure_that_the_model_cannot_see_keeps_its_recorded_history(loop: SuiteLoop) -> None:
    seen, environment = failure(loop, "CleanupDoesNothing", "EX-5")
    environment.stop()
    assert seen.scenario == {}
    assert len(seen.history) > 2


def test_a_replay_whose_handle_cannot_be_opened_shows_nothing(loop: SuiteLoop) -> None:
    from pytest_mcp_storage.engine.context import TestContext
    from pytest_mcp_storage.oracle.replay import Replay
    from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness

    class RefusesASecondHandle(InMemoryHarness):
        opened = 0

        async def open(self, **options: Any) -> Any:
            self.opened += 1
            if self.opened > 1:
                raise OSError("the file is locked")
            return await super().open(**options)

    environment = Environment("exclusive", RefusesASecondHandle, loop)
    environment.start()
    context = TestContext(environment, TIERS["smoke"], 0, destructive=True)
    steps = tuple(Step(handle, "get_session", ("alice", "s1")) for handle in ("a", "b"))
    assert loop.run(Replay(context, Scenario(steps)).run(), limit=10) == []
    loop.run(context.tidy(), limit=10)
    environment.stop()


def test_a_timeline_gives_way_to_a_plain_sequence_on_which_the_same_method_fails(loop: SuiteLoop) -> None:
    """LC-7 makes calls whose arguments JSON can't hold, so they can't be replayed."""
    seen, environment = failure(loop, "ServesUntilCleanup", "LC-7")
    environment.stop()
    assert seen.scenario["finding"]["plain"]
    assert len(seen.history) == 2
    assert seen.scenario["finding"]["method"] in seen.message


def test_a_store_that_waits_in_each_call_ends_its_replay(loop: SuiteLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_mcp_storage.engine.context import TestContext
    from pytest_mcp_storage.oracle import replay
    from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness

    calls: list[str] = []

    class Waits(InMemoryBackend):
        async def get_session(self, identity: str, session_id: str) -> Any:
            calls.extend([session_id] * session_id.startswith("s"))
            await asyncio.sleep(0.02)
            return await super().get_session(identity, session_id)

    monkeypatch.setattr(replay, "ALL_CALLS", 0.05)
    environment = Environment("waits", type("WaitsHarness", (InMemoryHarness,), {"backend": Waits}), loop)
    environment.start()
    context = TestContext(environment, TIERS["smoke"], 0, destructive=True)
    steps = tuple(Step("store", "get_session", ("alice", f"s{number}")) for number in range(50))
    assert loop.run(replay.Replay(context, Scenario(steps)).run(), limit=10) == []
    assert len(calls) < 5
    loop.run(context.tidy(), limit=10)
    environment.stop()


def test_a_handle_that_needs_no_key_is_not_named_for_its_keys() -> None:
    handles = {"store": HandleOptions(), "store_of_1_keys": HandleOptions(("5e" * 32,))}
    steps = tuple(Step(name, "get_session", ("alice", "s1")) for name in handles)
    plain = [each for each in bold(Scenario(steps, handles)) if len(each.handles) == 2]
    assert [[step.handle for step in each.steps] for each in plain if each.handles.keys() != handles.keys()] == [
        ["store", "keyless"]
    ]
