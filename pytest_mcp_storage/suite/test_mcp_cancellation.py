"""CA · cancellation: a call that is cancelled harms neither its session nor the calls after it and next to it."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import assert_gone, assert_live, assert_shows, shown_by
from pytest_mcp_storage.oracle.generators import changes, sessions
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.workloads.attempts import METHODS, Attempt, attempt, may_be_called
from pytest_mcp_storage.workloads.callers import Action, plans
from pytest_mcp_storage.workloads.cancellation import (
    answer,
    assert_one_of,
    handles_of_its_own,
    interrupted,
    moments,
    place,
    suspensions,
)
from pytest_mcp_storage.workloads.companions import assert_does_not_harm_its_company, assert_stays_one_history
from pytest_mcp_storage.workloads.deadlines import assert_ends_by_its_deadline
from pytest_mcp_storage.workloads.followers import COUNT, Followers
from reference_backends import SessionData

BOTH = every(False, True)
"""Cancelled when it begins to wait, and when what it waited for has come."""
MANY_CANCELLED = 130
"""Calls: more than the pools, queues and semaphores of the usual clients have places."""

CUTS = st.lists(st.sampled_from([0, 0, 1, 2, 3, 4]), min_size=10, max_size=60)
"""At which suspension point each call of a plan is cancelled; 0: at none."""


@clause_test("CA-1", at_most=20, session=sessions(), named=changes(1), method=every(*METHODS), answered=BOTH)
async def test_a_cancelled_call_is_wholly_done_or_not(
    context: TestContext, session: SessionData, named: dict[str, Any], method: str, answered: bool
) -> None:
    if not may_be_called(context, method):
        return
    changed = {**named, "server_name": "new", "tokens": {"access_token": "new"}}
    async with handles_of_its_own(context, 2 if context.can(Capability.SHARED) else 1) as stores:
        count = await _suspensions(stores[0], attempt(method, _numbered(session, 0), changed))
        for at in moments(context, count):
            one = attempt(method, _numbered(session, at), changed)
            await one.prepare(stores[0])
            after = place(method, at, answered)
            ending = await interrupted(context, after, partial(one.call, stores[0]), at, answered=answered)
            await assert_one_of(context, stores, one, returned=ending.returned, after=after)


@clause_test(
    "CA-1",
    waits=True,
    at_most=18,
    session=sessions(),
    method=every("create_session", "update_session", "renewal"),
    longer=st.booleans(),
)
async def test_a_cancelled_write_has_the_expiry_of_before_or_of_after(
    context: TestContext, session: SessionData, method: str, longer: bool
) -> None:
    """Of an update the fields say which of the two; a create has but one, and a renewal may have either."""
    soon = context.ttl(60)
    late = soon + 600
    old, new = (soon, late) if longer else (late, soon)
    lasting: list[tuple[Attempt, float | None]] = []
    async with handles_of_its_own(context) as (store,):
        changed = {"server_name": "new"}
        count = await _suspensions(store, attempt(method, _numbered(session, 0), changed, new), old)
        started = context.now()
        for at in moments(context, count):
            one = attempt(method, _numbered(session, at), changed, new)
            await one.prepare(store, old)
            after = place(method, at, answered=False)
            ending = await interrupted(context, after, partial(one.call, store), at)
            state = await assert_one_of(context, [store], one, returned=ending.returned, after=after)
            lasting.append((one, new if state == "as after" else None if method == "renewal" else old))
        await context.pass_time(soon + ROUNDING)
        for one, ttl in lasting:
            if one.before is None and ttl == old:
                continue
            if ttl == late:
                await assert_live(context, store, one.session, until=started + late)
            elif ttl == soon:
                await assert_gone(store, one.session, why=f"its TTL of {soon:.12g} s has passed since {method}")
            else:
                _assert_agrees(await shown_by(store, one.session, everywhere=context.store_is_ours), method)
        if context.can(Capability.CLOCK):
            await context.pass_time(late)
            for one, _ in lasting:
                await assert_gone(store, one.session, why=f"every TTL has passed since {method} was cancelled")


@clause_test(
    "CA-2",
    at_most=40,
    session=sessions(),
    other=sessions(),
    first=st.integers(0, COUNT - 1),
    method=every(*METHODS),
    answered=BOTH,
)
async def test_what_follows_a_cancelled_call_gets_its_own_answer(
    context: TestContext, session: SessionData, other: SessionData, first: int, method: str, answered: bool
) -> None:
    if not may_be_called(context, method):
        return
    changed = {"server_name": "new", "tokens": {"access_token": "new"}}
    async with handles_of_its_own(context, 2 if context.can(Capability.SHARED) else 1) as stores:
        count = await _suspensions(stores[0], attempt(method, _numbered(session, 0), changed))
        followers = Followers(context, _numbered(other, 0, "other"), known=method != "clear_all")
        if followers.known:
            await stores[0].create_session(followers.session)
        for at in moments(context, count):
            one = attempt(method, _numbered(session, at), changed)
            await one.prepare(stores[0])
            after = place(method, at, answered)
            await interrupted(context, after, partial(one.call, stores[0]), at, answered=answered)
            for store in stores:
                await followers.ask(store, first + at, after=after)


@clause_test("CA-2", at_most=1, session=sessions(), other=sessions())
async def test_many_cancelled_calls_use_nothing_up(
    context: TestContext, session: SessionData, other: SessionData
) -> None:
    async with handles_of_its_own(context) as (store,):
        followers = Followers(context, _numbered(other, 0, "other"))
        await store.create_session(followers.session)
        for method in ("update_session", "get_session", "get_identity_sessions_data"):
            one = attempt(method, _numbered(session, 0, method), {"server_name": "new"})
            count = await _suspensions(store, one)
            for number in range(MANY_CANCELLED if count else 0):
                what = f"{MANY_CANCELLED} calls of {method} were cancelled, one after another,"
                await interrupted(context, what, partial(one.call, store), 1 + number % count)
            await followers.ask(store, 0, after=f"{MANY_CANCELLED} cancelled calls of {method}")


@clause_test(
    "CA-3",
    shuffled=True,
    at_most=40,
    session=sessions(),
    which=st.integers(0, 4),
    method=every(*(method for method in METHODS if method != "clear_all")),
    answered=BOTH,
)
async def test_a_cancelled_call_changes_the_answer_of_no_other(
    context: TestContext, session: SessionData, which: int, method: str, answered: bool
) -> None:
    if not may_be_called(context, method):
        return
    async with handles_of_its_own(context) as (store,):
        count = await _suspensions(store, attempt(method, _numbered(session, 0), {"server_name": "new"}))
        for at in moments(context, count):
            await assert_does_not_harm_its_company(
                context, store, _numbered(session, at), method, which, at, answered=answered
            )


@clause_test("CA-3", shuffled=True, session=sessions(), actions=plans(), cuts=CUTS)
async def test_what_the_others_see_stays_linearizable(
    context: TestContext, session: SessionData, actions: list[list[Action]], cuts: list[int]
) -> None:
    async with handles_of_its_own(context) as (store,):
        await assert_stays_one_history(context, [store], session, actions, cuts)


@clause_test("CA-4", at_most=20, session=sessions(), method=every(*METHODS), answered=BOTH)
async def test_a_cancelled_call_ends_and_swallows_nothing(
    context: TestContext, session: SessionData, method: str, answered: bool
) -> None:
    """What it waited for has come if ``answered``: then it may go on to its result. Else it has nothing to wait for."""
    if not may_be_called(context, method):
        return
    async with handles_of_its_own(context) as (store,):
        count = await _suspensions(store, attempt(method, _numbered(session, 0), {"server_name": "new"}))
        for at in moments(context, count):
            one = attempt(method, _numbered(session, at), {"server_name": "new"})
            await one.prepare(store)
            after = place(method, at, answered)
            ending = await interrupted(context, after, partial(one.call, store), at, answered=answered)
            should = "end with CancelledError, or with its result if it had been done"
            if not ending.cancelled and (not ending.returned or one.wrong(ending.result)):
                raise Violation(f"{after}: it {ending}", should=should)
            if ending.returned and ending.waited_again and not answered:
                raise Violation(f"{after}: it waited for more and then {ending}", should=should)
            if ending.stray:
                raise Violation(f"{after}: a later await of its caller was cancelled", should="end with the call")
            if ending.reached and ending.count != 1:
                seen = f"{after}: its caller's task counts {ending.count} cancellations"
                raise Violation(seen, should="leave the one that was asked for: timeouts and task groups count them")


@clause_test("CA-4", at_most=18, session=sessions(), method=every(*METHODS), way=every("a timeout", "a task group"))
async def test_timeouts_and_task_groups_end_a_call(
    context: TestContext, session: SessionData, method: str, way: str
) -> None:
    if not may_be_called(context, method):
        return
    async with handles_of_its_own(context) as (store,):
        count = await _suspensions(store, attempt(method, _numbered(session, 0), {"server_name": "new"}))
        for at in moments(context, count):
            one = attempt(method, _numbered(session, at), {"server_name": "new"})
            await one.prepare(store)
            await assert_ends_by_its_deadline(context, store, one, at, way)


@clause_test("CA-5", at_most=8, session=sessions(), method=every("init", "disconnect"), answered=BOTH)
async def test_init_and_disconnect_can_be_cancelled_and_called_again(
    context: TestContext, session: SessionData, method: str, answered: bool
) -> None:
    async with handles_of_its_own(context) as (store,):
        kept: list[SessionData] = []
        if method == "init":
            await store.disconnect()
        count = await suspensions(getattr(store, method)())
        for at in moments(context, count):
            if method == "init":
                await store.disconnect()
            else:
                await store.init()
            after = place(method, at, answered)
            await interrupted(context, after, getattr(store, method), at, answered=answered)
            for again in ("disconnect", "init") if method == "disconnect" else ("init",):
                got = await answer(context, again, getattr(store, again), after=after)
                if got is not None:
                    raise Violation(f"after {after} {again} failed: {got}", should="work: it can be called again")
            new = _numbered(session, at)
            got = await answer(context, "create_session", partial(store.create_session, new), after=after)
            if got is not None:
                raise Violation(f"after {after}, and called again, create_session failed: {got}", should="work")
            kept = [*kept, new] if context.can(Capability.DURABLE) else [new]
            await assert_shows(context, store, kept, when=f"after {after}, and called again,", should="work as before")
        await store.init()


async def _suspensions(store: Any, one: Any, ttl: float | None = None) -> int:
    await one.prepare(store, ttl)
    return await suspensions(one.call(store))


def _numbered(session: SessionData, number: int, what: str = "") -> SessionData:
    """Return the session under names that no other attempt of the example has."""
    end = f" {what}{number}"
    return session.model_copy(
        update={"identity": f"{session.identity}{end}", "session_id": f"{session.session_id}{end}"}
    )


def _assert_agrees(shown: dict[str, bool], method: str) -> None:
    if len(set(shown.values())) > 1:
        missing = " and ".join(read for read, there in shown.items() if not there)
        raise Violation(
            f"after {method} was cancelled {missing} did not show the session", should="agree with the others"
        )
