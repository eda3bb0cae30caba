"""FA · failure: outages, lost answers and stores that are not set up are said, never swallowed."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Literal

from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation, outcome_of, told
from pytest_mcp_storage.measuring.witness import Witness
from pytest_mcp_storage.oracle.strategies import changes, sessions
from pytest_mcp_storage.oracle.views import must_show
from pytest_mcp_storage.ordeals.callers import at_once
from pytest_mcp_storage.ordeals.outages import (
    back,
    every_call,
    in_time,
    losses,
    must_be_unavailable,
    must_be_whole,
    must_work,
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

CROWD = 2
"""How often each method is called at once in an outage: more calls than a pool has connections."""


@measures("FA-1", at_most=1, session=sessions(), named=changes(1))
async def test_every_method_reports_an_outage(trial: Trial, session: SessionData, named: dict[str, Any]) -> None:
    store = await _known_session(trial, session)
    calls = [*every_call(trial, store, session, named).items(), ("open", lambda: _open(trial))]
    calls += needless_calls(trial, store, session).items()
    for turn in range(trial.tier.faults):
        async with trial.harness.outage():
            for method, call in [*calls[turn % len(calls) :], *calls[: turn % len(calls)]]:
                await must_be_unavailable(trial, method, call)
        await back(trial, store, session)


@measures("FA-1", at_most=1, session=sessions(), named=changes(1))
async def test_every_method_reports_an_outage_that_it_is_first_to_meet(
    trial: Trial, session: SessionData, named: dict[str, Any]
) -> None:
    store = await _known_session(trial, session)
    for _ in range(trial.tier.faults):
        for method, call in every_call(trial, store, session, named).items():
            async with trial.harness.outage():
                await must_be_unavailable(trial, method, call)
            await back(trial, store, session)


async def _known_session(trial: Trial, session: SessionData) -> Witness:
    """The handle, once it has created the session and every read has shown it: what it remembers it may not answer."""
    store = await trial.store()
    await store.create_session(session)
    await must_show(trial, store, [session], when="before an outage", should="be there")
    return store


@measures("FA-1", at_most=2, session=sessions())
async def test_disconnect_does_not_fail_for_an_outage(trial: Trial, session: SessionData) -> None:
    store = await _open(trial)
    await store.create_session(session)
    async with trial.harness.outage():
        got = await in_time(trial, store.disconnect)
    if got is not None:
        raise Violation(
            f"disconnect while the store could not be reached {told(got)}",
            should="return, within the time limit: there is nothing that its caller could do",
        )


@measures("FA-2", at_most=4, session=sessions(), new=sessions(), named=changes(1))
async def test_the_same_handle_works_after_an_outage(
    trial: Trial, session: SessionData, new: SessionData, named: dict[str, Any]
) -> None:
    store = await _open(trial)
    await store.create_session(session)
    new = new.model_copy(update={"identity": session.identity, "session_id": f"{new.session_id} new"})
    name = session.identity, session.session_id
    calls = [*every_call(trial, store, session, named).values()]
    for turn in range(trial.tier.faults):
        async with trial.harness.outage():
            await at_once([in_time(trial, call) for call in CROWD * calls])
        await back(trial, store, session)
        changed = {**named, "server_name": f"turn {turn}"}
        await must_work(trial, "update_session", partial(store.update_session, *name, changed))
        session = session.model_copy(update=changed)
        await must_work(trial, "create_session", partial(store.create_session, new))
        when, should = "on the same handle after an outage", "work as before"
        await must_show(trial, store, [session, new], when=when, should=should)
        await must_work(trial, "remove_session", partial(store.remove_session, new.identity, new.session_id))
        await must_show(trial, store, [session], [new], when=when, should=should)
    await store.disconnect()


@measures("FA-3", at_most=2, session=sessions())
async def test_a_create_without_an_answer_is_done_or_not(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    await store.create_session(session)
    for turn in losses(trial):
        new = session.model_copy(update={"session_id": f"{session.session_id} {turn.number}"})
        got = await turn.unanswered(store, new, "create_session", new)
        states = {"there": new} if got is None else {"there": new, "missing": None}
        after = f"a create whose answer was lost ({told(got)})"
        if await must_be_whole(trial, store, new, states, after=after) == "missing":
            await store.create_session(new)
            await must_show(trial, store, [new], when="created anew after a lost answer", should="be there once")


@measures("FA-3", at_most=1, session=sessions())
async def test_a_create_without_an_answer_leaves_no_half(trial: Trial, session: SessionData) -> None:
    """Looks at what it left alone: a store that never returns, or raises what it likes, may leave a half besides."""
    store = await trial.store()
    await store.create_session(session)
    for turn in losses(trial):
        new = session.model_copy(update={"session_id": f"{session.session_id} {turn.number}"})
        got = await turn.ask(store, session, "create_session", new)
        after = f"a create whose answer was lost ({told(got)})"
        await must_be_whole(trial, store, new, {"there": new, "missing": None}, after=after)


@measures("FA-3", at_most=2, session=sessions(), named=changes(1))
async def test_an_update_without_an_answer_is_done_or_not(
    trial: Trial, session: SessionData, named: dict[str, Any]
) -> None:
    store = await trial.store()
    await store.create_session(session)
    name = session.identity, session.session_id
    for turn in losses(trial):
        mark = f"turn {turn.number}"
        changed = {**named, "server_name": mark, "tokens": {"access_token": mark}}
        got = await turn.unanswered(store, session, "update_session", *name, changed)
        new = session.model_copy(update=changed)
        states = {"new": new} if got is None else {"new": new, "old": session}
        after = f"an update whose answer was lost ({told(got)})"
        if await must_be_whole(trial, store, session, states, after=after) == "new":
            session = new


@measures("FA-3", at_most=2, session=sessions())
async def test_a_removal_without_an_answer_is_done_or_not(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    for turn in losses(trial):
        old = session.model_copy(update={"session_id": f"{session.session_id} {turn.number}"})
        await store.create_session(old)
        got = await turn.unanswered(store, old, "remove_session", old.identity, old.session_id)
        states = {"gone": None} if got is None else {"gone": None, "there": old}
        await must_be_whole(trial, store, old, states, after=f"a removal whose answer was lost ({told(got)})")


@measures("FA-3", at_most=1, session=sessions())
async def test_a_clearance_without_an_answer_leaves_no_half(trial: Trial, session: SessionData) -> None:
    if not trial.store_is_ours:
        trial.leave_out("clear_all and cleanup_expired_sessions: the store may hold others' data")
        return
    store = await trial.store()
    for turn in losses(trial):
        method = ("cleanup_expired_sessions", "clear_all")[turn.number % 2]
        kept = [session.model_copy(update={"session_id": f"{session.session_id} {turn.number} {n}"}) for n in range(3)]
        for each in kept:
            await store.create_session(each)
        got = await turn.unanswered(store, session, method)
        for each in kept:
            states: dict[str, SessionData | None] = {"there": each}
            if method == "clear_all":
                states = {"gone": None} if got is None else {"gone": None, "there": each}
            await must_be_whole(trial, store, each, states, after=f"{method} whose answer was lost ({told(got)})")


@measures("FA-4")
async def test_a_missing_table_is_said_at_open(trial: Trial) -> None:
    await _must_ask_for_setup(trial, "missing")


@measures("FA-4")
async def test_an_old_table_is_said_at_open(trial: Trial) -> None:
    await _must_ask_for_setup(trial, "old")


async def _open(trial: Trial) -> Witness:
    return await trial.open(*trial.usual_keys)


async def _must_ask_for_setup(trial: Trial, how: Literal["missing", "old"]) -> None:
    async with trial.harness.unprepared(how):
        got = await outcome_of(_open(trial))
    opening = f"opening a store whose table is {how}"
    if not isinstance(got, StorageSetupError):
        seen = told(got) if isinstance(got, Exception) else "worked as if nothing were wrong"
        raise Violation(f"{opening} {seen}", should="raise StorageSetupError")
    if not COMMAND.search(str(got)):
        raise Violation(f"{opening} said {str(got)!r}", should="name the command that sets it up")
