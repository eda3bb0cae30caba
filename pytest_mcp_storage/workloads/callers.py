"""Several callers at once: the plans that are drawn for them, and their execution."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any
from zlib import crc32

from hypothesis import strategies as st

from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import outcome_of
from pytest_mcp_storage.faults.worker_client import Step
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError

REFUSALS = (SessionExistsError, SessionNotFoundError)
"""What a call may raise because another one was faster."""

Action = tuple[str, int, str]
"""The action, the index of its session, and one of the session's fields."""

ACTIONS = (
    "create", "update", "update", "update", "renew", "remove", "get", "get", "get", "get", "listing", "ids", "all ids",
    "clear", "cleanup", "pause",
)  # fmt: skip
STORE_WIDE = ("all ids", "clear", "cleanup")

VALUES: dict[str, Callable[[str], Any]] = {
    "server_name": lambda mark: mark,
    "tokens": lambda mark: {"access_token": mark},
    "headers": lambda mark: {"x-mark": mark},
    "client_information": lambda mark: {"client_id": mark},
    "code_verifier": lambda mark: mark,
    "client_id": lambda mark: mark,
    "server_url": lambda mark: f"https://{mark}.example",
    "server_id": lambda mark: mark,
    "created_at": lambda mark: crc32(mark.encode()),
    "active": lambda mark: bool(crc32(mark.encode()) & 1),
    "transport_type": lambda mark: ("sse", "streamable_http")[crc32(mark.encode()) & 1],
}
"""Fields, and a value of each; nobody else writes it, unless the field has only two values."""


def plans() -> st.SearchStrategy[list[list[Action]]]:
    """Draw what each of some callers does with three sessions, mostly with the first. Short plans seldom meet."""
    action = st.tuples(st.sampled_from(ACTIONS), st.sampled_from([0, 0, 0, 1, 2]), st.sampled_from(sorted(VALUES)))
    return st.lists(st.lists(action, min_size=9, max_size=16), min_size=3, max_size=5)


def contested(session: SessionData) -> list[SessionData]:
    """Return the three sessions that plans work on: two of one identity, and one of another."""
    second = session.model_copy(update={"session_id": f"{session.session_id}2"})
    other = session.model_copy(update={"identity": f"{session.identity}2", "session_id": f"{session.session_id}3"})
    return [session, second, other]


def steps(
    plan: Sequence[Action], sessions: Sequence[SessionData], caller: str, *, without: Collection[str] = ()
) -> list[Step]:
    """Return the calls of a plan on these sessions. Every value that is written names its caller and its place.

    ``without``: actions that are left out.
    """
    return [
        _step(action, sessions[which], field, f"{caller}.{place}")
        for place, (action, which, field) in enumerate(plan)
        if action not in without
    ]


async def at_once(work: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Return the results or exceptions of all, started together, once the last has ended."""
    return await asyncio.gather(*(outcome_of(each) for each in work))


async def all_at_once(work: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Return the results of all, started together. Raise the first error of them, once the last has ended."""
    results = await at_once(work)
    for got in results:
        if isinstance(got, Exception):
            raise got
    return results


def has_failed(got: object) -> bool:
    """Say whether this is an exception, and no refusal."""
    return isinstance(got, Exception) and not isinstance(got, REFUSALS)


async def carry_out(callers: Sequence[RecordingBackend], plans: Sequence[Sequence[Step]]) -> None:
    """Let each caller do its steps, all at once. Refusals are expected; any other error is raised at the end."""
    await all_at_once([_do(caller, plan) for caller, plan in zip(callers, plans, strict=True)])


async def _do(caller: RecordingBackend, plan: Sequence[Step]) -> None:
    for step in plan:
        if step.method == "pause":
            await asyncio.sleep(0)
            continue
        got = await outcome_of(getattr(caller, step.method)(*step.arguments))
        if has_failed(got):
            raise got


def _step(action: str, session: SessionData, field: str, mark: str) -> Step:
    name = session.identity, session.session_id
    match action:
        case "create":
            return Step("create_session", (session.model_copy(update={"server_id": mark}),))
        case "update":
            both = {field: VALUES[field](mark), "callback_url": mark}  # two fields, so that half an update shows
            return Step("update_session", (*name, both))
        case "renew":
            return Step("update_session", (*name, {}))
        case "remove":
            return Step("remove_session", name)
        case "get":
            return Step("get_session", name)
        case "listing":
            return Step("get_identity_sessions_data", (session.identity,))
        case "ids":
            return Step("get_identity_mcp_sessions", (session.identity,))
        case "all ids":
            return Step("get_all_session_ids")
        case "clear":
            return Step("clear_all")
        case "cleanup":
            return Step("cleanup_expired_sessions")
    return Step(action)
