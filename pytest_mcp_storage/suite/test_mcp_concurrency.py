"""CO · concurrency: many callers, handles and processes at once."""

from __future__ import annotations

from itertools import product

from hypothesis import strategies as st

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.oracle.assertions import assert_gone, assert_live, assert_shows, shown_by
from pytest_mcp_storage.oracle.generators import changes, sessions
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.workloads.callers import VALUES, Action, plans
from pytest_mcp_storage.workloads.contention import (
    assert_clears_whole_sessions,
    assert_keeps_every_create,
    assert_keeps_every_update,
    assert_lets_one_create_succeed,
    assert_lets_removal_win,
    assert_one_history,
    let_expire,
    named,
)
from pytest_mcp_storage.workloads.multiprocess import assert_holds_across_processes
from reference_backends import SessionData

HANDLES = 3
CREATES = 20
MANY = st.integers(2, 16)
UPDATERS = st.integers(2, len(VALUES))
TIMES = st.integers(1, 3)


@clause_test("CO-1", shuffled=True, session=sessions(), callers=MANY)
async def test_one_of_many_concurrent_creates_succeeds(
    context: TestContext, session: SessionData, callers: int
) -> None:
    await assert_lets_one_create_succeed(context, named([await context.store()], callers), session)


@clause_test("CO-1", shuffled=True, waits=True, session=sessions(), callers=MANY)
async def test_one_of_many_creates_over_an_expired_session_succeeds(
    context: TestContext, session: SessionData, callers: int
) -> None:
    store = await context.store()
    if await let_expire(context, store, session):
        await assert_lets_one_create_succeed(context, named([store], callers), session)


@clause_test("CO-1", at_most=1, session=sessions())
async def test_sessions_created_at_once_are_all_there(context: TestContext, session: SessionData) -> None:
    """Use a separate store: writes that collide may leave one that nobody can open."""
    async with context.another_store() as harness:
        for number in range(max(2, context.tier.examples // 4)):
            again = session.model_copy(update={"session_id": f"{session.session_id}.{number}"})
            await assert_keeps_every_create(context, harness, again, CREATES)


@clause_test("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS, times=TIMES)
async def test_concurrent_updates_of_different_fields_are_all_kept(
    context: TestContext, session: SessionData, updaters: int, times: int
) -> None:
    callers = named([await context.store()], 1 + updaters)
    await assert_keeps_every_update(context, callers, session, times=times, during_create=False)


@clause_test("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS, times=TIMES)
async def test_updates_beside_a_create_are_kept_or_refused(
    context: TestContext, session: SessionData, updaters: int, times: int
) -> None:
    callers = named([await context.store()], 1 + updaters)
    await assert_keeps_every_update(context, callers, session, times=times, during_create=True)


@clause_test("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS)
async def test_no_concurrent_update_brings_a_removed_session_back(
    context: TestContext, session: SessionData, updaters: int
) -> None:
    await assert_lets_removal_win(context, named([await context.store()], 1 + updaters), session)


@clause_test("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS, ttl=every(None, 3600))
async def test_renewals_undo_no_concurrent_update(
    context: TestContext, session: SessionData, updaters: int, ttl: float | None
) -> None:
    callers = named([await context.store()], 1 + updaters)
    await assert_keeps_every_update(context, callers, session, times=2, ttl=ttl, renewing=True)


@clause_test("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS, ttl=every(None, 3600))
async def test_no_concurrent_renewal_brings_a_removed_session_back(
    context: TestContext, session: SessionData, updaters: int, ttl: float | None
) -> None:
    await assert_lets_removal_win(
        context, named([await context.store()], 1 + updaters), session, ttl=ttl, renewing=True
    )


@clause_test("CO-3", shuffled=True, session=sessions(), actions=plans())
async def test_what_concurrent_callers_see_is_linearizable(
    context: TestContext, session: SessionData, actions: list[list[Action]]
) -> None:
    await assert_one_history(context, named([await context.store()], len(actions)), session, actions)


@clause_test("CO-3", shuffled=True, session=sessions(), callers=MANY)
async def test_a_clearance_beside_creates_leaves_no_half(
    context: TestContext, session: SessionData, callers: int
) -> None:
    if not context.store_is_ours:
        return context.leave_out("clear_all, since the store may hold others' data")
    await assert_clears_whole_sessions(context, named([await context.store()], callers), session)
    return None


@clause_test("CO-4", at_most=20, first=sessions(), second=sessions(), named_fields=changes(1), writer=every(0, 1))
async def test_two_handles_see_each_others_writes(
    context: TestContext, first: SessionData, second: SessionData, named_fields: dict[str, object], writer: int
) -> None:
    pair = await context.handles(2)
    one, other = pair[writer], pair[1 - writer]
    second = second.model_copy(update={"identity": first.identity, "session_id": f"{second.session_id}2"})
    name = first.identity, first.session_id

    async def both_show(live: list[SessionData], gone: list[SessionData], when: str) -> None:
        for handle in pair:
            await assert_shows(context, handle, live, gone, when=when, should="see what the other handle did")

    await both_show([], [first, second], "before all")
    await one.create_session(first)
    await both_show([first], [second], "after another handle's create")
    await other.create_session(second)
    await both_show([first, second], [], "after another handle's create")
    await other.update_session(*name, named_fields)
    first = first.model_copy(update=named_fields)
    await both_show([first, second], [], "after another handle's update")
    await one.update_session(*name, {"active": True})
    first = first.model_copy(update={"active": True})
    await both_show([first, second], [], "after another handle's update")
    await other.remove_session(*name)
    await both_show([second], [first], "after another handle's removal")
    await one.create_session(first)
    await both_show([first, second], [], "after a handle created anew what another had removed")


@clause_test("CO-4", at_most=2, session=sessions(), writer=every(0, 1))
async def test_two_handles_see_each_others_clear_all(context: TestContext, session: SessionData, writer: int) -> None:
    if not context.store_is_ours:
        return context.leave_out("clear_all, since the store may hold others' data")
    pair = await context.handles(2)
    await pair[writer].create_session(session)
    for handle in pair:  # a cache has these now
        await shown_by(handle, session)
    await pair[1 - writer].clear_all()
    for handle in pair:
        await assert_gone(handle, session, why="a handle cleared the store")
    return None


@clause_test("CO-4", waits=True, at_most=1, session=sessions())
async def test_two_handles_see_each_others_renewals(context: TestContext, session: SessionData) -> None:
    """Judge the other handle only: EX-7 judges the handle that renewed."""
    pair = one, other = await context.handles(2)
    ttl = context.ttl(60) + 2
    ids = [context.session_id(name) for name in ("ends", "lasts", "lasts by default")]
    ending, lasting, usual = (session.model_copy(update={"session_id": each}) for each in ids)
    await one.create_session(ending, 600)
    await one.create_session(lasting, ttl)
    await one.create_session(usual, ttl)
    for handle, each in product(pair, (ending, lasting, usual)):  # a cache has these now
        await shown_by(handle, each)
    renewed = context.now()
    await other.update_session(ending.identity, ending.session_id, {}, ttl)
    await other.update_session(lasting.identity, lasting.session_id, {}, 600)
    await other.update_session(usual.identity, usual.session_id, {})
    await context.pass_time(ttl + ROUNDING)
    if await other.get_session(ending.identity, ending.session_id) is None:
        await assert_gone(one, ending, why=f"another handle renewed it for {ttl:.12g} s, which have passed")
    for each in lasting, usual:
        if await other.get_session(each.identity, each.session_id) is not None:
            await assert_live(context, one, each, until=renewed + 600)


@clause_test("CO-5", shuffled=True, session=sessions(), callers=MANY)
async def test_one_concurrent_create_succeeds_across_handles(
    context: TestContext, session: SessionData, callers: int
) -> None:
    await assert_lets_one_create_succeed(context, named(await context.handles(HANDLES), callers), session)


@clause_test("CO-5", shuffled=True, waits=True, session=sessions(), callers=MANY)
async def test_one_create_over_an_expired_session_succeeds_across_handles(
    context: TestContext, session: SessionData, callers: int
) -> None:
    handles = await context.handles(HANDLES)
    if await let_expire(context, handles[0], session):
        await assert_lets_one_create_succeed(context, named(handles, callers), session)


@clause_test("CO-5", shuffled=True, session=sessions(), updaters=UPDATERS, times=TIMES)
async def test_updates_of_different_fields_are_all_kept_across_handles(
    context: TestContext, session: SessionData, updaters: int, times: int
) -> None:
    callers = named(await context.handles(HANDLES), 1 + updaters)
    await assert_keeps_every_update(context, callers, session, times=times, during_create=False)


@clause_test("CO-5", shuffled=True, session=sessions(), actions=plans())
async def test_what_callers_of_several_handles_see_is_linearizable(
    context: TestContext, session: SessionData, actions: list[list[Action]]
) -> None:
    await assert_one_history(context, named(await context.handles(HANDLES), len(actions)), session, actions)


@clause_test("CO-5", needs=[Capability.CRASH], at_most=1, session=sessions())
async def test_processes_work_on_one_store(context: TestContext, session: SessionData) -> None:
    for number in range(max(1, context.tier.examples // 20)):
        again = session.model_copy(update={"session_id": f"{session.session_id}.{number}"})
        await assert_holds_across_processes(context, again, number)
