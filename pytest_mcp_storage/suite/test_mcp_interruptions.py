"""FA, EX · interruptions: what is left of a call that a fault cut short, later and in the first answers after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import assert_gone, assert_shows
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.outages import back, first_answer, in_time
from reference_backends import SessionData

TTL = 60
LONGER = 600
TURNS = (0, 1, 2, 3, 4, 6)
"""Turns of the event loop after which a fault begins."""

Fault = Callable[[], AbstractAsyncContextManager[None]]


def faults_of(context: TestContext) -> list[Fault]:
    """Return the faults that the harness can make."""
    both = (Capability.LOST_ANSWER, context.harness.lost_answer), (Capability.OUTAGE, context.harness.outage)
    return [fault for capability, fault in both if context.can(capability)]


@clause_test("FA-3", at_most=1, session=sessions())
async def test_what_got_no_answer_ends_as_asked(context: TestContext, session: SessionData) -> None:
    await _assert_ends_as_asked(context, session, [context.harness.lost_answer])


@clause_test("EX-2", at_most=1, session=sessions())
async def test_what_a_fault_cut_short_ends_as_asked(context: TestContext, session: SessionData) -> None:
    if faults := faults_of(context):
        return await _assert_ends_as_asked(context, session, faults)
    return context.leave_out("writes that a fault cuts short (needs OUTAGE or LOST_ANSWER)")


async def _assert_ends_as_asked(context: TestContext, session: SessionData, faults: list[Fault]) -> None:
    """Cut creates and updates with a TTL short; once the TTL has passed no read may show what is left of them."""
    if not context.can(Capability.CLOCK):
        return context.leave_out("what is left of writes without an answer, after their TTL (needs CLOCK)")
    store = await context.store()
    known = session.model_copy(update=FILLED)
    await store.create_session(known, 10 * LONGER)
    short: list[SessionData] = []
    long: list[SessionData] = []
    for number, fault in enumerate(faults):
        for turns in TURNS[:: 2 if context.tier.name == "smoke" else 1]:
            name = f"{number}.{turns}."
            created, *updated = (
                known.model_copy(update={"session_id": context.session_id(f"{name}{n}")}) for n in range(3)
            )
            for each in updated:
                await store.create_session(each, LONGER)
            writes: list[tuple[SessionData, Callable[[], Awaitable[Any]]]] = [(created, _create(store, created))]
            writes += [(each, _update(store, each, n)) for n, each in enumerate(updated)]
            for each, write in writes:
                got = await _cut_short(context, fault, write, turns)
                await back(context, store, known)
                (long if isinstance(got, Exception) and each is not created else short).append(each)
    await context.pass_time(TTL + ROUNDING)
    for each in short:
        await assert_gone(store, each, why=f"its TTL of {TTL} s has passed, whatever became of the answer")
    await context.pass_time(LONGER)
    for each in long:
        await assert_gone(store, each, why=f"its TTL of {LONGER} s, or the new one of {TTL} s, has passed")
    for each in short:
        await store.create_session(each, LONGER)
    await assert_shows(context, store, short, when="created anew after that", should="be there once")
    await context.pass_time(LONGER + ROUNDING)
    for each in short:
        await assert_gone(store, each, why=f"its TTL of {LONGER} s, of a create after the faults, has passed")
    return None


def _create(store: RecordingBackend, session: SessionData) -> Callable[[], Awaitable[Any]]:
    return lambda: store.create_session(session, TTL)


def _update(store: RecordingBackend, session: SessionData, number: int) -> Callable[[], Awaitable[Any]]:
    changes = ({}, {"server_name": "new", "tokens": {"access_token": "new"}})[number % 2]
    return lambda: store.update_session(session.identity, session.session_id, changes, TTL)


async def _cut_short(context: TestContext, fault: Fault, call: Callable[[], Awaitable[Any]], turns: int) -> Any:
    """Return what the call returned or raised in a fault that begins this many turns of the loop after it."""
    task = asyncio.ensure_future(in_time(context, call))
    for _ in range(turns):
        await asyncio.sleep(0)
    async with fault():
        return await task


@clause_test("FA-2", at_most=1, session=sessions())
async def test_the_first_answer_after_an_outage_is_its_own(context: TestContext, session: SessionData) -> None:
    """Let the last question before the end of a fault be about one session, and the first one after about another."""
    store = await context.open(*context.usual_keys)
    mine = session.model_copy(update=FILLED)
    other = mine.model_copy(
        update={"identity": context.identity("other"), "session_id": context.session_id("other"), "server_id": "o"}
    )
    for each in mine, other:
        await store.create_session(each)
    firsts: list[Question] = [
        *_questions(store, other),
        ("update_session", partial(_update_alone, store, other, mine), bool),
    ]
    if context.store_is_ours:
        ids = {mine.session_id, other.session_id}
        firsts.append(("get_all_session_ids", store.get_all_session_ids, lambda got: ids <= set(got)))
    for place, fault in enumerate(faults_of(context)):
        for number, (_, last, _) in enumerate((*_questions(store, mine), *_writes(context, store, mine))):
            async with fault():
                await in_time(context, last)
            method, first, right = firsts[(number + place) % len(firsts)]
            got = await first_answer(context, first)
            if isinstance(got, Exception) or not right(got):
                raise Violation(f"the first {method} after a fault {describe(got)}", should="get its own answer")
    await store.disconnect()


@clause_test("FA-2", at_most=1, session=sessions())
async def test_no_failed_write_is_done_after_the_outage(context: TestContext, session: SessionData) -> None:
    store = await context.open(*context.usual_keys)
    kept = session.model_copy(update=FILLED)
    name = kept.identity, kept.session_id
    new = kept.model_copy(update={"session_id": context.session_id("failed")})
    await store.create_session(kept)
    async with context.harness.outage():
        for call in (
            lambda: store.update_session(*name, {"server_name": "failed"}),
            lambda: store.create_session(new),
            lambda: store.remove_session(*name),
        ):
            await in_time(context, call)
    await back(context, store, kept)
    for turn in range(3):
        changes = {"server_id": f"turn {turn}"}
        await store.update_session(*name, changes)
        kept = kept.model_copy(update=changes)
        should = "do no call later that it has reported as failed"
        await assert_shows(context, store, [kept], [new], when="on the same handle after an outage", should=should)
    await store.disconnect()


Question = tuple[str, Callable[[], Awaitable[Any]], Callable[[Any], bool]]
"""A call's name, the call, and if an answer is right."""


def _questions(store: RecordingBackend, session: SessionData) -> list[Question]:
    identity, session_id = session.identity, session.session_id

    def is_it(got: Any) -> bool:
        return isinstance(got, SessionData) and not difference(got, session)

    return [
        ("get_session", lambda: store.get_session(identity, session_id), is_it),
        (
            "get_identity_sessions_data",
            lambda: store.get_identity_sessions_data(identity),
            lambda got: len(got) == 1 and is_it(got[0]),
        ),
        (
            "get_identity_mcp_sessions",
            lambda: store.get_identity_mcp_sessions(identity),
            lambda got: got == [session_id],
        ),
    ]


def _writes(context: TestContext, store: RecordingBackend, session: SessionData) -> list[Question]:
    unknown = context.session_id("unknown")
    return [
        ("update_session", lambda: store.update_session(session.identity, session.session_id, {}), bool),
        ("get_session", lambda: store.get_session(session.identity, unknown), bool),
        ("create_session", lambda: store.create_session(session), bool),
    ]


async def _update_alone(store: RecordingBackend, session: SessionData, other: SessionData) -> bool:
    """Update the session; return if that changed it, and not the other."""
    await store.update_session(session.identity, session.session_id, {"server_id": session.server_id})
    seen = await store.get_session(other.identity, other.session_id)
    same = await store.get_session(session.identity, session.session_id)
    return not difference(seen, other) and not difference(same, session)
