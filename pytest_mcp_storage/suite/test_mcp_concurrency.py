"""CO · concurrency: many callers, handles and processes at once."""

from __future__ import annotations

from itertools import product

from hypothesis import strategies as st

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.measuring.measure import every, measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.oracle.model import ROUNDING
from pytest_mcp_storage.oracle.presence import must_be_gone, must_be_live, shown_by
from pytest_mcp_storage.oracle.strategies import changes, sessions
from pytest_mcp_storage.oracle.views import must_show
from pytest_mcp_storage.ordeals.callers import VALUES, Deed, plans
from pytest_mcp_storage.ordeals.contest import (
    let_expire,
    must_be_one_history,
    must_clear_whole_sessions,
    must_keep_every_create,
    must_keep_every_update,
    must_let_one_create_succeed,
    must_let_removal_win,
    named,
)
from pytest_mcp_storage.ordeals.crowd import must_hold_across_processes
from reference_backends import SessionData

HANDLES = 3
CREATES = 20
MANY = st.integers(2, 16)
UPDATERS = st.integers(2, len(VALUES))
TIMES = st.integers(1, 3)


@measures("CO-1", shuffled=True, session=sessions(), callers=MANY)
async def test_one_of_many_concurrent_creates_succeeds(trial: Trial, session: SessionData, callers: int) -> None:
    await must_let_one_create_succeed(trial, named([await trial.store()], callers), session)


@measures("CO-1", shuffled=True, waits=True, session=sessions(), callers=MANY)
async def test_one_of_many_creates_over_an_expired_session_succeeds(
    trial: Trial, session: SessionData, callers: int
) -> None:
    store = await trial.store()
    if await let_expire(trial, store, session):
        await must_let_one_create_succeed(trial, named([store], callers), session)


@measures("CO-1", at_most=1, session=sessions())
async def test_sessions_created_at_once_are_all_there(trial: Trial, session: SessionData) -> None:
    """In a store of its own: where writes get in each other's way they may leave one that nobody can open."""
    async with trial.another_store() as harness:
        for number in range(max(2, trial.tier.examples // 4)):
            again = session.model_copy(update={"session_id": f"{session.session_id}.{number}"})
            await must_keep_every_create(trial, harness, again, CREATES)


@measures("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS, times=TIMES)
async def test_concurrent_updates_of_different_fields_are_all_kept(
    trial: Trial, session: SessionData, updaters: int, times: int
) -> None:
    callers = named([await trial.store()], 1 + updaters)
    await must_keep_every_update(trial, callers, session, times=times, beside_create=False)


@measures("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS, times=TIMES)
async def test_updates_beside_a_create_are_kept_or_refused(
    trial: Trial, session: SessionData, updaters: int, times: int
) -> None:
    callers = named([await trial.store()], 1 + updaters)
    await must_keep_every_update(trial, callers, session, times=times, beside_create=True)


@measures("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS)
async def test_no_concurrent_update_brings_a_removed_session_back(
    trial: Trial, session: SessionData, updaters: int
) -> None:
    await must_let_removal_win(trial, named([await trial.store()], 1 + updaters), session)


@measures("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS, ttl=every(None, 3600))
async def test_renewals_undo_no_concurrent_update(
    trial: Trial, session: SessionData, updaters: int, ttl: float | None
) -> None:
    callers = named([await trial.store()], 1 + updaters)
    await must_keep_every_update(trial, callers, session, times=2, ttl=ttl, renewing=True)


@measures("CO-2", shuffled=True, session=sessions(), updaters=UPDATERS, ttl=every(None, 3600))
async def test_no_concurrent_renewal_brings_a_removed_session_back(
    trial: Trial, session: SessionData, updaters: int, ttl: float | None
) -> None:
    await must_let_removal_win(trial, named([await trial.store()], 1 + updaters), session, ttl=ttl, renewing=True)


@measures("CO-3", shuffled=True, session=sessions(), deeds=plans())
async def test_what_concurrent_callers_see_is_linearizable(
    trial: Trial, session: SessionData, deeds: list[list[Deed]]
) -> None:
    await must_be_one_history(trial, named([await trial.store()], len(deeds)), session, deeds)


@measures("CO-3", shuffled=True, session=sessions(), callers=MANY)
async def test_a_clearance_beside_creates_leaves_no_half(trial: Trial, session: SessionData, callers: int) -> None:
    if not trial.store_is_ours:
        return trial.leave_out("clear_all, since the store may hold others' data")
    await must_clear_whole_sessions(trial, named([await trial.store()], callers), session)
    return None


@measures("CO-4", at_most=20, first=sessions(), second=sessions(), named_fields=changes(1), writer=every(0, 1))
async def test_two_handles_see_each_others_writes(
    trial: Trial, first: SessionData, second: SessionData, named_fields: dict[str, object], writer: int
) -> None:
    pair = await trial.handles(2)
    one, other = pair[writer], pair[1 - writer]
    second = second.model_copy(update={"identity": first.identity, "session_id": f"{second.session_id}2"})
    name = first.identity, first.session_id

    async def both_show(live: list[SessionData], gone: list[SessionData], when: str) -> None:
        for handle in pair:
            await must_show(trial, handle, live, gone, when=when, should="see what the other handle did")

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


@measures("CO-4", at_most=2, session=sessions(), writer=every(0, 1))
async def test_two_handles_see_each_others_clear_all(trial: Trial, session: SessionData, writer: int) -> None:
    if not trial.store_is_ours:
        return trial.leave_out("clear_all, since the store may hold others' data")
    pair = await trial.handles(2)
    await pair[writer].create_session(session)
    for handle in pair:  # whatever keeps answers has these now
        await shown_by(handle, session)
    await pair[1 - writer].clear_all()
    for handle in pair:
        await must_be_gone(handle, session, why="a handle cleared the store")
    return None


@measures("CO-4", waits=True, at_most=1, session=sessions())
async def test_two_handles_see_each_others_renewals(trial: Trial, session: SessionData) -> None:
    """That the renewal counts for the handle that made it is for EX-7 to say."""
    pair = one, other = await trial.handles(2)
    ttl = trial.ttl(60) + 2
    ids = [trial.session_id(name) for name in ("ends", "lasts", "lasts by default")]
    ending, lasting, usual = (session.model_copy(update={"session_id": each}) for each in ids)
    await one.create_session(ending, 600)
    await one.create_session(lasting, ttl)
    await one.create_session(usual, ttl)
    for handle, each in product(pair, (ending, lasting, usual)):  # whatever keeps answers has these now
        await shown_by(handle, each)
    renewed = trial.now()
    await other.update_session(ending.identity, ending.session_id, {}, ttl)
    await other.update_session(lasting.identity, lasting.session_id, {}, 600)
    await other.update_session(usual.identity, usual.session_id, {})
    await trial.pass_time(ttl + ROUNDING)
    if await other.get_session(ending.identity, ending.session_id) is None:
        await must_be_gone(one, ending, why=f"another handle renewed it for {ttl:.12g} s, which have passed")
    for each in lasting, usual:
        if await other.get_session(each.identity, each.session_id) is not None:
            await must_be_live(trial, one, each, until=renewed + 600)


@measures("CO-5", shuffled=True, session=sessions(), callers=MANY)
async def test_one_concurrent_create_succeeds_across_handles(trial: Trial, session: SessionData, callers: int) -> None:
    await must_let_one_create_succeed(trial, named(await trial.handles(HANDLES), callers), session)


@measures("CO-5", shuffled=True, waits=True, session=sessions(), callers=MANY)
async def test_one_create_over_an_expired_session_succeeds_across_handles(
    trial: Trial, session: SessionData, callers: int
) -> None:
    handles = await trial.handles(HANDLES)
    if await let_expire(trial, handles[0], session):
        await must_let_one_create_succeed(trial, named(handles, callers), session)


@measures("CO-5", shuffled=True, session=sessions(), updaters=UPDATERS, times=TIMES)
async def test_updates_of_different_fields_are_all_kept_across_handles(
    trial: Trial, session: SessionData, updaters: int, times: int
) -> None:
    callers = named(await trial.handles(HANDLES), 1 + updaters)
    await must_keep_every_update(trial, callers, session, times=times, beside_create=False)


@measures("CO-5", shuffled=True, session=sessions(), deeds=plans())
async def test_what_callers_of_several_handles_see_is_linearizable(
    trial: Trial, session: SessionData, deeds: list[list[Deed]]
) -> None:
    await must_be_one_history(trial, named(await trial.handles(HANDLES), len(deeds)), session, deeds)


@measures("CO-5", needs=[Capability.CRASH], at_most=1, session=sessions())
async def test_processes_work_on_one_store(trial: Trial, session: SessionData) -> None:
    for number in range(max(1, trial.tier.examples // 20)):
        again = session.model_copy(update={"session_id": f"{session.session_id}.{number}"})
        await must_hold_across_processes(trial, again, number)
