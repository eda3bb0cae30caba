"""EX-6 to EX-9: for how long a session lives, by the default and by the ttl that a call gives."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from itertools import product
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.harness import NotMeasurable
from pytest_mcp_storage.measuring.comparison import difference
from pytest_mcp_storage.measuring.measure import every, measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation, must_raise, outcome_of, told
from pytest_mcp_storage.measuring.witness import Witness
from pytest_mcp_storage.oracle.limits import DEFAULT_TTL, LONGEST_TTL
from pytest_mcp_storage.oracle.model import ROUNDING
from pytest_mcp_storage.oracle.presence import JUST_BEFORE, must_be_gone, must_be_live
from pytest_mcp_storage.oracle.strategies import changes, sessions, ttls
from reference_backends import InvalidSessionError, SessionData, SessionUpdate

LONG = 6000.0
FINEST = 0.2
"""Seconds; in real time a TTL below it may end between two readings of a clock that counts in milliseconds."""
TEN_YEARS = 10 * 365.25 * 86_400
BAD_TTLS = (
    0, -1, 0.0, -0.5, math.nan, math.inf, -math.inf, LONGEST_TTL + 0.5, LONGEST_TTL + 1, 1e300, 10**30, 10**400, True,
    False, "60", "", [60],
)  # fmt: skip


@measures("EX-6", waits=True, session=sessions())
async def test_the_default_ttl_is_twelve_hours(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    born = trial.now()
    await store.create_session(session)
    await must_be_live(trial, store, session, until=born + DEFAULT_TTL)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(DEFAULT_TTL - 0.5)
        await must_be_live(trial, store, session, until=born + DEFAULT_TTL)
        await trial.pass_time(0.5 + ROUNDING)
        await must_be_gone(store, session, why="the default TTL of 43,200 s has passed")


@measures("EX-6", waits=True, at_most=2, session=sessions())
async def test_a_ttl_of_none_is_the_default(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    born = trial.now()
    trial.remember([session])
    await _must_take_none(trial, store.backend.create_session(session, ttl=None), doing="creating")
    await must_be_live(trial, store, session, until=born + DEFAULT_TTL)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(DEFAULT_TTL + ROUNDING)
        await must_be_gone(store, session, why="ttl=None means the default TTL, which has passed")


async def _must_take_none(trial: Trial, call: Awaitable[None], *, doing: str) -> None:
    """The call has ``ttl=None``, past the witness, who says nothing where there is no ttl."""
    trial.history.note(f"… {doing} with ttl=None …")
    if isinstance(got := await outcome_of(call), Exception):
        raise Violation(f"{doing} with ttl=None {told(got)}", should="do what it does without ttl")


async def _with_default_ttl(trial: Trial, seconds: float) -> Witness | None:
    """A handle with another default TTL; ``None`` where the harness can't give one, which the report then says."""
    try:
        return await trial.open(default_ttl=seconds)
    except NotMeasurable as reason:
        trial.leave_out(f"another default TTL: {reason}")
        return None


@measures("EX-6", waits=True, at_most=10, session=sessions(), default=ttls())
async def test_a_handle_may_have_another_default_ttl(trial: Trial, session: SessionData, default: float) -> None:
    default = trial.ttl(default)
    if (store := await _with_default_ttl(trial, default)) is None:
        return
    born = trial.now()
    await store.create_session(session)
    await must_be_live(trial, store, session, until=born + default)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(default - JUST_BEFORE)
        await must_be_live(trial, store, session, until=born + default)
    await trial.pass_time(max(0.0, born + default + ROUNDING - trial.now()))
    await must_be_gone(store, session, why=f"the handle's default TTL of {default:.12g} s has passed")


@measures("EX-6", waits=True, at_most=2, session=sessions())
async def test_the_default_ttl_is_that_of_the_handle_that_creates(trial: Trial, session: SessionData) -> None:
    ttl = trial.ttl(60)
    if (pair := await _brief_and_long(trial, ttl)) is None:
        return
    brief, long = pair
    lasting = session.model_copy(update={"session_id": f"lasting {session.session_id}"})
    born = trial.now()
    await brief.create_session(session)
    await long.create_session(lasting)
    for handle in pair:
        await must_be_live(trial, handle, session, until=born + ttl)
    await trial.pass_time(ttl + ROUNDING)
    for handle in pair:
        await must_be_gone(handle, session, why=f"the creating handle's default TTL of {ttl:.12g} s has passed")
        await must_be_live(trial, handle, lasting, until=born + LONG)


async def _brief_and_long(trial: Trial, ttl: float) -> tuple[Witness, Witness] | None:
    """Two handles on the store, one with this default TTL and one with a longer; ``None`` where that can't be."""
    if not trial.can(Capability.SHARED):
        trial.leave_out("two handles with different default TTLs (needs SHARED)")
        return None
    brief, long = await _with_default_ttl(trial, ttl), await _with_default_ttl(trial, LONG)
    return None if brief is None or long is None else (brief, long)


@measures("EX-7", waits=True, session=sessions(), first=ttls(), second=ttls(), named=changes())
async def test_an_update_with_ttl_sets_it_anew(
    trial: Trial, session: SessionData, first: float, second: float, named: dict[str, Any]
) -> None:
    store = await trial.store()
    first, second = trial.ttl(first), trial.ttl(second)
    born = trial.now()
    await store.create_session(session, first)
    await trial.pass_time(first * 0.1)
    if not trial.can(Capability.CLOCK) and trial.now() > born + first * 0.8:
        raise NotMeasurable("the store was too slow to update a session before its TTL of 1 to 2 s had passed")
    renewed = trial.now()
    await store.update_session(session.identity, session.session_id, named, second)
    await must_be_live(trial, store, session, until=renewed + second)
    await trial.pass_time(second * 0.9)
    await must_be_live(trial, store, session, until=renewed + second)
    await trial.pass_time(second * 0.1 + ROUNDING)
    await must_be_gone(store, session, why=f"the renewed TTL of {second:.12g} s has passed")


@measures("EX-7", waits=True, session=sessions(), ttl=ttls(), changed=every(False, True))
async def test_an_update_without_ttl_renews_for_the_default(
    trial: Trial, session: SessionData, ttl: float, changed: bool
) -> None:
    store = await trial.store()
    ttl = trial.ttl(ttl) + 2
    await store.create_session(session, ttl)
    renewed = trial.now()
    named: dict[str, Any] = {"server_name": "renewed"} if changed else {}
    await store.update_session(session.identity, session.session_id, named)
    await trial.pass_time(DEFAULT_TTL - 0.5 if trial.can(Capability.CLOCK) else ttl + ROUNDING)
    await must_be_live(trial, store, session, until=renewed + DEFAULT_TTL)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(0.5 + ROUNDING)
        await must_be_gone(store, session, why="the default TTL has passed since the update")


@measures("EX-7", waits=True, at_most=10, session=sessions(), default=ttls())
async def test_a_handle_renews_for_its_own_default(trial: Trial, session: SessionData, default: float) -> None:
    default = trial.ttl(default)
    if (store := await _with_default_ttl(trial, default)) is None:
        return
    await store.create_session(session, 10 * default)
    renewed = trial.now()
    await store.update_session(session.identity, session.session_id, {"server_name": "renewed"})
    await must_be_live(trial, store, session, until=renewed + default)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(default - JUST_BEFORE)
        await must_be_live(trial, store, session, until=renewed + default)
    await trial.pass_time(max(0.0, renewed + default + ROUNDING - trial.now()))
    await must_be_gone(store, session, why=f"the handle's default TTL of {default:.12g} s has passed since the update")


@measures("EX-7", waits=True, at_most=1, session=sessions())
async def test_an_update_with_a_ttl_of_none_renews_for_the_default(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    ttl = trial.ttl(60) + 2
    changed, renewed = (session.model_copy(update={"session_id": trial.session_id(name)}) for name in ("a", "b"))
    begun = trial.now()
    for each, named in (changed, SessionUpdate(server_name="changed")), (renewed, SessionUpdate()):
        await store.create_session(each, ttl)
        update = store.backend.update_session(each.identity, each.session_id, named, ttl=None)
        await _must_take_none(trial, update, doing="updating")
    await trial.pass_time(ttl + ROUNDING)
    for each in changed, renewed:
        await must_be_live(trial, store, each, until=begun + DEFAULT_TTL)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(DEFAULT_TTL - ttl)
        for each in changed, renewed:
            await must_be_gone(store, each, why="ttl=None means the default TTL, which has passed since the update")


@measures("EX-7", waits=True, at_most=1, session=sessions())
async def test_a_session_is_renewed_as_often_as_it_is_updated(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    often, ttl, lives = (100, None, DEFAULT_TTL) if trial.can(Capability.CLOCK) else (2, trial.ttl(60), trial.ttl(60))
    await store.create_session(session, lives)
    renewed = trial.now()
    for _, named in product(range(often), ({}, {"server_name": "renewed"})):
        await trial.pass_time(lives * 0.6)
        renewed = trial.now()
        await store.update_session(session.identity, session.session_id, named, ttl)
    await trial.pass_time(lives * 0.6)
    await must_be_live(trial, store, session, until=renewed + lives)


@measures("EX-7", waits=True, at_most=2, session=sessions())
async def test_the_default_ttl_is_that_of_the_handle_that_updates(trial: Trial, session: SessionData) -> None:
    ttl = trial.ttl(60) + 2
    if (pair := await _brief_and_long(trial, ttl)) is None:
        return
    brief, long = pair
    lasting = session.model_copy(update={"session_id": f"lasting {session.session_id}"})
    renewed = trial.now()
    await brief.create_session(lasting)
    await long.update_session(lasting.identity, lasting.session_id, {})
    await long.create_session(session)
    await brief.update_session(session.identity, session.session_id, {})
    await trial.pass_time(ttl + ROUNDING)
    for handle in pair:
        await must_be_gone(handle, session, why=f"the updating handle's default TTL of {ttl:.12g} s has passed")
        await must_be_live(trial, handle, lasting, until=renewed + LONG)


@measures("EX-8", at_most=2, session=sessions())
async def test_a_ttl_that_makes_no_sense_is_refused(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    name = session.identity, session.session_id
    for ttl in BAD_TTLS:
        await must_raise(InvalidSessionError, store.create_session(session, ttl), doing=f"creating with ttl={ttl!r}")
        await must_be_gone(store, session, why=f"the create with ttl={ttl!r} was refused")
    await store.create_session(session)
    for bad, named in product(BAD_TTLS, ({"server_name": "changed"}, {})):
        update = store.update_session(*name, named, bad)
        await must_raise(InvalidSessionError, update, doing=f"updating with ttl={bad!r}")
        if found := difference(await store.get_session(*name), session):
            raise Violation(f"after an update with ttl={bad!r} get_session returned {found}", should="change nothing")


@measures("EX-8", at_most=1, session=sessions())
async def test_the_longest_ttl_is_taken(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    born = trial.now()
    await store.create_session(session, LONGEST_TTL)
    await must_be_live(trial, store, session, until=born + LONGEST_TTL)


WRITES: tuple[SessionUpdate | None, ...] = (None, {}, {"server_name": "renewed"})
"""What gives a session its TTL: a create, or an update of these fields."""


async def _written(store: Witness, session: SessionData, write: SessionUpdate | None, ttl: float) -> None:
    """The session, with the TTL that this write gave it."""
    if write is None:
        return await store.create_session(session, ttl)
    await store.create_session(session)
    await store.update_session(session.identity, session.session_id, write, ttl)
    return None


@measures("EX-9", waits=True, at_most=3, session=sessions(), write=every(*WRITES))
async def test_ten_years_are_kept_as_given(trial: Trial, session: SessionData, write: SessionUpdate | None) -> None:
    store = await trial.store()
    born = trial.now()
    await _written(store, session, write, TEN_YEARS)
    await must_be_live(trial, store, session, until=born + TEN_YEARS)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(TEN_YEARS - 1)
        await must_be_live(trial, store, session, until=born + TEN_YEARS)
        await trial.pass_time(1 + ROUNDING)
        await must_be_gone(store, session, why="its TTL of ten years has passed")


@measures("EX-9", waits=True, session=sessions(), part=st.floats(0.05, 0.95), write=every(*WRITES))
async def test_a_fraction_of_a_second_is_honoured(
    trial: Trial, session: SessionData, part: float, write: SessionUpdate | None
) -> None:
    store = await trial.store()
    ttl = 1 + part
    born = trial.now()
    await _written(store, session, write, ttl)
    await trial.pass_time(ttl - 0.02 if trial.can(Capability.CLOCK) else 1.0)
    await must_be_live(trial, store, session, until=born + ttl)
    await trial.pass_time(0.02 + ROUNDING if trial.can(Capability.CLOCK) else part + ROUNDING)
    await must_be_gone(store, session, why=f"its TTL of {ttl:.12g} s has passed")


@measures("EX-9", waits=True, at_most=3, session=sessions(), write=every(*WRITES))
async def test_less_than_a_second_is_honoured(trial: Trial, session: SessionData, write: SessionUpdate | None) -> None:
    store = await trial.store()
    brief = {
        ttl: session.model_copy(update={"session_id": f"{ttl} {session.session_id}"}) for ttl in (0.75, 0.25, 0.0004)
    }
    for ttl, each in brief.items():
        born = trial.now()
        await _written(store, each, write, ttl)
        if trial.can(Capability.CLOCK) or ttl > FINEST:
            await must_be_live(trial, store, each, until=born + ttl)
    await trial.pass_time(max(brief) + ROUNDING)
    for ttl, each in brief.items():
        await must_be_gone(store, each, why=f"its TTL of {ttl:.12g} s has passed")
