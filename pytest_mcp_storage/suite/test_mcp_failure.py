"""FA · failure: outages, lost answers and stores that are not set up raise errors."""

from __future__ import annotations

import re
from functools import partial
from itertools import product
from typing import Any, Literal

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.assertions import assert_shows, ids_of
from pytest_mcp_storage.oracle.bulk_create import create_many
from pytest_mcp_storage.oracle.generators import changes, sessions
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.attempts import METHODS, may_be_called
from pytest_mcp_storage.workloads.callers import at_once
from pytest_mcp_storage.workloads.failing_steps import HOWS, fail_each_request, fail_each_step
from pytest_mcp_storage.workloads.outages import (
    assert_unavailable,
    assert_whole,
    assert_works,
    back,
    every_call,
    in_time,
    losses,
    needless_calls,
)
from reference_backends import SessionData, StorageSetupError

COMMAND = re.compile(
    r"`[^`]*\s[^`]*`|\b(create table|psql|npx|alembic|python3? -m|supabase (db|init|link|migration|start)"
    r"|mcp-storage [a-z])\b|(?<!not )(?<!cannot )(?<!n't )(?<!failed to )(?<!unable to )"
    r"\b(run|apply|execute|push|migrate|upgrade|install|initiali[sz]e)\b",
    re.IGNORECASE,
)
"""What a message that names a command holds, judged leniently: a phrase in backticks, a program that sets tables up, or
a word that asks for it (and not one that says what could not be done)."""

CALLERS = 2
"""How often each method is called at once in an outage: more calls than a pool has connections."""
LISTINGS = ("get_identity_mcp_sessions", "get_identity_sessions_data")
SEVERAL, MOST_LISTED = 3, 1_100
"""Sessions that are listed, at least and at most: as many as exceed the pages that the source names."""


@clause_test("FA-1", at_most=1, session=sessions(), named=changes(1))
async def test_every_method_reports_an_outage(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    store = await _known_session(context, session)
    calls = [*every_call(context, store, session, named).items(), ("open", lambda: _open(context))]
    calls += needless_calls(context, store, session).items()
    for turn in range(context.tier.faults):
        async with context.harness.outage():
            for method, call in [*calls[turn % len(calls) :], *calls[: turn % len(calls)]]:
                await assert_unavailable(context, method, call)
        await back(context, store, session)


@clause_test("FA-1", at_most=1, session=sessions(), named=changes(1))
async def test_every_method_reports_an_outage_that_it_is_first_to_meet(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    store = await _known_session(context, session)
    for _ in range(context.tier.faults):
        for method, call in every_call(context, store, session, named).items():
            async with context.harness.outage():
                await assert_unavailable(context, method, call)
            await back(context, store, session)


async def _known_session(context: TestContext, session: SessionData) -> RecordingBackend:
    """Return the handle after it has created the session and every read has returned it: a cache must not answer."""
    store = await context.store()
    await store.create_session(session)
    await assert_shows(context, store, [session], when="before an outage", should="be there")
    return store


@clause_test("FA-1", at_most=2, session=sessions())
async def test_disconnect_does_not_fail_for_an_outage(context: TestContext, session: SessionData) -> None:
    store = await _open(context)
    await store.create_session(session)
    async with context.harness.outage():
        got = await in_time(context, store.disconnect)
    if got is not None:
        raise Violation(
            f"disconnect while the store could not be reached {describe(got)}",
            should="return within the time limit: its caller can do nothing about it",
        )


@clause_test("FA-2", at_most=4, session=sessions(), new=sessions(), named=changes(1))
async def test_the_same_handle_works_after_an_outage(
    context: TestContext, session: SessionData, new: SessionData, named: dict[str, Any]
) -> None:
    store = await _open(context)
    await store.create_session(session)
    new = new.model_copy(update={"identity": session.identity, "session_id": f"{new.session_id} new"})
    name = session.identity, session.session_id
    calls = [*every_call(context, store, session, named).values()]
    for turn in range(context.tier.faults):
        async with context.harness.outage():
            await at_once([in_time(context, call) for call in CALLERS * calls])
        await back(context, store, session)
        changed = {**named, "server_name": f"turn {turn}"}
        await assert_works(context, "update_session", partial(store.update_session, *name, changed))
        session = session.model_copy(update=changed)
        await assert_works(context, "create_session", partial(store.create_session, new))
        when, should = "on the same handle after an outage", "work as before"
        await assert_shows(context, store, [session, new], when=when, should=should)
        await assert_works(context, "remove_session", partial(store.remove_session, new.identity, new.session_id))
        await assert_shows(context, store, [session], [new], when=when, should=should)
    await store.disconnect()


@clause_test("FA-3", at_most=2, session=sessions())
async def test_a_create_without_an_answer_is_done_or_not(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    await store.create_session(session)
    for turn in losses(context):
        new = session.model_copy(update={"session_id": f"{session.session_id} {turn.number}"})
        got = await turn.unanswered(store, new, "create_session", new)
        states = {"there": new} if got is None else {"there": new, "missing": None}
        after = f"a create whose answer was lost ({describe(got)})"
        if await assert_whole(context, store, new, states, after=after) == "missing":
            await store.create_session(new)
            await assert_shows(context, store, [new], when="created anew after a lost answer", should="be there once")


@clause_test("FA-3", at_most=1, session=sessions())
async def test_a_create_without_an_answer_leaves_no_half(context: TestContext, session: SessionData) -> None:
    """Judge only what the create left in the store, not how it ended."""
    store = await context.store()
    await store.create_session(session)
    for turn in losses(context):
        new = session.model_copy(update={"session_id": f"{session.session_id} {turn.number}"})
        got = await turn.ask(store, session, "create_session", new)
        after = f"a create whose answer was lost ({describe(got)})"
        await assert_whole(context, store, new, {"there": new, "missing": None}, after=after)


@clause_test("FA-3", at_most=2, session=sessions(), named=changes(1))
async def test_an_update_without_an_answer_is_done_or_not(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    store = await context.store()
    await store.create_session(session)
    name = session.identity, session.session_id
    for turn in losses(context):
        mark = f"turn {turn.number}"
        changed = {**named, "server_name": mark, "tokens": {"access_token": mark}}
        got = await turn.unanswered(store, session, "update_session", *name, changed)
        new = session.model_copy(update=changed)
        states = {"new": new} if got is None else {"new": new, "old": session}
        after = f"an update whose answer was lost ({describe(got)})"
        if await assert_whole(context, store, session, states, after=after) == "new":
            session = new


@clause_test("FA-3", at_most=2, session=sessions())
async def test_a_removal_without_an_answer_is_done_or_not(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    for turn in losses(context):
        old = session.model_copy(update={"session_id": f"{session.session_id} {turn.number}"})
        await store.create_session(old)
        got = await turn.unanswered(store, old, "remove_session", old.identity, old.session_id)
        states = {"gone": None} if got is None else {"gone": None, "there": old}
        await assert_whole(context, store, old, states, after=f"a removal whose answer was lost ({describe(got)})")


@clause_test("FA-3", at_most=1, session=sessions())
async def test_a_clearance_without_an_answer_leaves_no_half(context: TestContext, session: SessionData) -> None:
    if not context.store_is_ours:
        context.leave_out("clear_all and cleanup_expired_sessions: the store may hold others' data")
        return
    store = await context.store()
    for turn in losses(context):
        method = ("cleanup_expired_sessions", "clear_all")[turn.number % 2]
        kept = [session.model_copy(update={"session_id": f"{session.session_id} {turn.number} {n}"}) for n in range(3)]
        for each in kept:
            await store.create_session(each)
        got = await turn.unanswered(store, session, method)
        for each in kept:
            states: dict[str, SessionData | None] = {"there": each}
            if method == "clear_all":
                states = {"gone": None} if got is None else {"gone": None, "there": each}
            await assert_whole(context, store, each, states, after=f"{method} whose answer was lost ({describe(got)})")


@clause_test("FA-4")
async def test_a_missing_table_is_said_at_open(context: TestContext) -> None:
    await _assert_asks_for_setup(context, "missing")


@clause_test("FA-4")
async def test_an_old_table_is_said_at_open(context: TestContext) -> None:
    await _assert_asks_for_setup(context, "old")


async def _open(context: TestContext) -> RecordingBackend:
    return await context.open(*context.usual_keys)


async def _assert_asks_for_setup(context: TestContext, how: Literal["missing", "old"]) -> None:
    async with context.harness.unprepared(how):
        got = await outcome_of(_open(context))
    opening = f"opening a store whose table is {how}"
    if not isinstance(got, StorageSetupError):
        seen = describe(got) if isinstance(got, Exception) else "raised nothing"
        raise Violation(f"{opening} {seen}", should="raise StorageSetupError")
    if not COMMAND.search(str(got)):
        raise Violation(f"{opening} said {str(got)!r}", should="name the command that sets it up")


@clause_test("FA-5", at_most=len(METHODS) * len(HOWS), session=sessions(), method=every(*METHODS), how=every(*HOWS))
async def test_a_call_of_which_a_request_fails_is_done_or_not(
    context: TestContext, session: SessionData, method: str, how: str
) -> None:
    if may_be_called(context, method):
        await fail_each_step(context, session, method, how)


@clause_test("FA-5", at_most=1, session=sessions())
async def test_a_listing_of_which_a_request_fails_is_whole(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    count = context.constants.past_each_page(SEVERAL, MOST_LISTED)
    created = sorted(each.session_id for each in await create_many(context, store, session, count, least=SEVERAL))
    for method, how in product(LISTINGS, HOWS):
        answers = await fail_each_request(
            context, store, session, partial(getattr(store, method), session.identity), how
        )
        for number, listed in enumerate(answers, start=1):
            if isinstance(listed, list) and sorted(ids_of(listed)) != created:
                raise Violation(
                    f"{method}, of which request {number} was {how}, returned {len(listed)} of {len(created)} sessions",
                    should="return all, or raise StorageUnavailableError",
                )
