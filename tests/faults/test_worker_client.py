"""Processes that are killed while they use a real store."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.faults import Step, Worker, WorkerError
from pytest_mcp_storage.faults.worker_protocol import (
    WorkerCallError,
    arguments_from_json,
    arguments_to_json,
    outcome_from_json,
    outcome_to_json,
)
from pytest_mcp_storage.harnesses.redis import RedisHarness
from pytest_mcp_storage.spec.call import Call
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError

KEY = "5e" * 32


def session(session_id: str, **fields: Any) -> SessionData:
    plain = {"server_url": "u", "transport_type": "sse", "callback_url": "c", "created_at": 0}
    return SessionData(session_id=session_id, identity="alice", **{**plain, **fields})


def creations(count: int) -> list[Step]:
    return [Step("create_session", (session(f"s{place}", tokens={"n": place}),)) for place in range(count)]


@pytest.fixture
async def harness() -> AsyncIterator[RedisHarness]:
    async with RedisHarness() as harness:
        yield harness


async def describe(worker: Worker) -> list[Call]:
    return [call async for call in worker]


def created(calls: Sequence[Call]) -> dict[str, SessionData]:
    sessions = [call.arguments[0] for call in calls]
    return {each.session_id: each for each in sessions if isinstance(each, SessionData)}


async def stored(harness: RedisHarness) -> dict[str, SessionData]:
    backend = await harness.open(encryption_key=KEY)
    sessions = await backend.get_identity_sessions_data("alice")
    await backend.disconnect()
    return {each.session_id: each for each in sessions}


async def test_what_a_killed_worker_reported_is_stored_and_the_rest_is_known(harness: RedisHarness) -> None:
    acknowledged = []
    async with Worker(harness, creations(5000), encryption_key=KEY, callers=3) as worker:
        worker.go()
        async for call in worker:
            acknowledged.append(call)
            if len(acknowledged) == 40:
                worker.kill()
    assert 40 <= len(acknowledged) < 5000
    certain, maybe = created(acknowledged), created(worker.unacknowledged())
    assert len(maybe) == 3
    there = await stored(harness)
    assert certain.items() <= there.items() <= (certain | maybe).items()


async def test_a_finished_plan_reports_every_call_with_its_result_and_time(harness: RedisHarness) -> None:
    plan = [
        Step("create_session", (session("s1", headers={"a": "b"}),), ttl=60),
        Step("create_session", (session("s1"),)),
        Step("update_session", ("alice", "s1", {"active": True, "headers": None})),
        Step("update_session", ("alice", "s2", {})),
        Step("get_session", ("alice", "s1")),
        Step("get_session", ("alice", "s2")),
        Step("get_identity_sessions_data", ("alice",)),
        Step("get_identity_mcp_sessions", ("alice",)),
    ]
    async with Worker(harness, plan, name="w") as worker:
        worker.go()
        calls = await describe(worker)
    assert worker.unacknowledged() == []
    assert [(call.handle, call.method, call.arguments, call.ttl) for call in calls] == [
        ("w", step.method, step.arguments, step.ttl) for step in plan
    ]
    assert all(call.start < call.end for call in calls)
    results = [call.result for call in calls]
    assert isinstance(results[1], SessionExistsError)
    assert isinstance(results[3], SessionNotFoundError)
    whole = session("s1", active=True)
    assert [results[0], results[2], *results[4:]] == [None, None, whole, None, [whole], ["s1"]]


async def test_of_two_workers_one_creates_each_session(harness: RedisHarness) -> None:
    async with Worker(harness, creations(300), name="a") as first, Worker(harness, creations(300), name="b") as second:
        first.go()
        second.go()
        one, two = await asyncio.gather(describe(first), describe(second))
    assert sum(call.result is None for call in one + two) == 300
    assert len(one) == len(two) == 300
    assert {type(call.result) for call in one + two} == {type(None), SessionExistsError}


async def test_a_worker_s_clock_shows_the_given_moment(harness: RedisHarness) -> None:
    async with Worker(harness, creations(1), encryption_key=KEY, now=1000.0) as worker:
        worker.go()
        await describe(worker)
    assert await stored(harness) == {}
    backend = await harness.open(clock=lambda: 1000.0)
    assert await backend.get_identity_mcp_sessions("alice") == ["s0"]
    await backend.disconnect()


async def test_a_worker_that_cannot_open_its_store_says_why(harness: RedisHarness) -> None:
    with pytest.raises(WorkerError, match="64 hexadecimal digits"):
        async with Worker(harness, [], encryption_key="short"):
            pass


async def test_a_harness_that_no_worker_can_import_is_named(harness: RedisHarness) -> None:
    class Local(RedisHarness):
        pass

    with pytest.raises(WorkerError, match="Local"):
        async with Worker(Local.attach(harness.locator()), []):
            pass


ENTERED = """
from pytest_mcp_storage.harnesses.file import FileHarness

class Entered(FileHarness):
    async def __aenter__(self):
        self.entered = True
        return await super().__aenter__()

    async def open(self, **options):
        if not getattr(self, "entered", False):
            raise RuntimeError("open() before __aenter__()")
        return await super().open(**options)

class Fails(Entered):
    async def __aenter__(self):
        await super().__aenter__()
        if self._attached:
            raise ValueError("the server's certificate has expired")
        return self
"""


async def test_an_attached_harness_is_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "entered_harness.py").write_text(ENTERED)
    monkeypatch.syspath_prepend(tmp_path)
    module = import_module("entered_harness")
    async with module.Entered() as harness, Worker(harness, creations(1)) as worker:
        worker.go()
        assert [call.result for call in await describe(worker)] == [None]
    async with module.Fails() as harness:
        with pytest.raises(WorkerError) as failed:
            await Worker(harness, []).__aenter__()
    assert str(failed.value).startswith(
        "worker did not start: ValueError: the server's certificate has expired (raised"
    )
    assert "entered_harness.py" in str(failed.value)


async def test_a_worker_that_dies_by_itself_is_an_error(harness: RedisHarness) -> None:
    async with Worker(harness, creations(5000)) as worker:
        worker.go()
        os.kill(worker.pid, signal.SIGTERM)
        with pytest.raises(WorkerError, match="ended before its plan"):
            await describe(worker)


async def test_a_worker_ends_with_its_parent(harness: RedisHarness) -> None:
    """The input of the worker ends, as it does however the parent dies."""
    async with Worker(harness, creations(10_000)) as worker:
        worker.go()
        assert worker._process.stdin is not None
        worker._process.stdin.close()
        with pytest.raises(WorkerError):
            await describe(worker)


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("get_session", session("s", tokens={"a": [], "b": 1.5}, active=False)),
        ("get_session", None),
        ("get_identity_sessions_data", [session("s"), session("t")]),
        ("get_all_session_ids", ["s", "é"]),
    ],
)
def test_results_cross_the_wire_whole(method: str, result: object) -> None:
    assert outcome_from_json(method, outcome_to_json(result)) == result


def test_errors_and_oddities_cross_the_wire_by_name() -> None:
    refused = outcome_from_json("get_session", outcome_to_json(SessionNotFoundError("gone")))
    assert (type(refused), str(refused)) == (SessionNotFoundError, "gone")
    assert isinstance(outcome_from_json("get_session", outcome_to_json(KeyError("x"))), WorkerCallError)
    assert outcome_from_json("get_session", outcome_to_json({"not": "a session"})) == "<dict>"
    sent = arguments_to_json("create_session", (session("s"),))
    assert arguments_from_json("create_session", sent) == (session("s"),)
