"""Plans of concurrent callers become calls, and all calls end before the first error is raised."""

from __future__ import annotations

import asyncio

import pytest

from pytest_mcp_storage.workloads.callers import ACTIONS, STORE_WIDE, all_at_once, at_once, has_failed, steps
from reference_backends import SessionData, SessionExistsError

SESSIONS = [
    SessionData(
        session_id=f"s{number}",
        identity="alice",
        server_url="https://mcp.example",
        transport_type="sse",
        callback_url="https://app.example/callback",
        created_at=number,
    )
    for number in (1, 2)
]


def test_each_write_names_its_caller_and_its_place() -> None:
    create, update = steps([("create", 0, "tokens"), ("update", 1, "tokens")], SESSIONS, "a")
    assert create.arguments[0].server_id == "a.0"
    assert update.arguments == ("alice", "s2", {"tokens": {"access_token": "a.1"}, "callback_url": "a.1"})


def test_every_action_is_a_call_or_a_pause() -> None:
    plan = [(action, 0, "tokens") for action in ACTIONS]
    for step in steps(plan, SESSIONS, "a"):
        assert step.method == "pause" or callable(getattr(SESSIONS[0], step.method, print))


def test_calls_that_read_the_whole_store_can_be_left_out() -> None:
    assert steps([("all ids", 0, "tokens")], SESSIONS, "a", without=STORE_WIDE) == []


async def test_an_error_is_raised_once_all_have_ended() -> None:
    ended = []

    async def slow() -> str:
        await asyncio.sleep(0.01)
        ended.append("slow")
        return "done"

    async def broken() -> None:
        raise OSError("broken")

    results = await at_once([slow(), broken()])
    assert results[0] == "done"
    assert isinstance(results[1], OSError)
    with pytest.raises(OSError, match="broken"):
        await all_at_once([broken(), slow()])
    assert ended == ["slow", "slow"]


def test_a_refusal_is_no_failure() -> None:
    assert not has_failed(SessionExistsError("it exists"))
    assert not has_failed(None)
    assert has_failed(OSError("broken"))
