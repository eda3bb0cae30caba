"""EX-6 to EX-9: for how long a session lives, by the default and by the ttl that a call gives."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from itertools import product
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, assert_raises, outcome_of
from pytest_mcp_storage.oracle.assertions import JUST_BEFORE, assert_gone, assert_live
from pytest_mcp_storage.oracle.generators import changes, sessions, ttls
from pytest_mcp_storage.oracle.limits import LONGEST_TTL
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import NotMeasurable
from pytest_mcp_storage.workloads.declarations import assert_default_ttl_is_used, with_default_ttl
from reference_backends import InvalidSessionError, SessionData, SessionNotFoundError, SessionUpdate

LONG = 6000.0
FINEST = 0.2
"""Seconds; in real time a TTL below it may end between two readings of a clock that counts in milliseconds."""
TEN_YEARS = 10 * 365.25 * 86_400
BAD_TTLS = (
    0, -1, 0.0, -0.5, math.nan, math.inf, -math.inf, LONGEST_TTL + 0.5, LONGEST_TTL + 1, 1e300, 10**30, 10**400, True,
    False, "60", "", [60],
)  # fmt: skip


@clause_test("EX-6", waits=True, session=sessions())
async def test_the_default_ttl_is_twelve_hours(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    written_at = context.now()
    await store.create_session(session)
    await assert_live(context, store, session, until=written_at + context.default_ttl)
    if context.can(Capability.CLOCK):
        await context.pass_time(context.default_ttl - 0.5)
        await assert_live(context, store, session, until=written_at + context.default_ttl)
        await context.pass_time(0.5 + ROUNDING)
        await assert_gone(store, session, why=f"the default TTL of {context.default_ttl:,.12g} s has passed")


@clause_test("EX-6", waits=True, at_most=2, session=sessions())
async def test_a_ttl_of_none_is_the_default(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    written_at = context.now()
    context.remember([session])
    await _assert_takes_none(context, store.backend.create_session(session, ttl=None), doing="creating")
    await assert_live(context, store, session, until=written_at + context.default_ttl)
    if context.can(Capability.CLOCK):
        await context.pass_time(context.default_ttl + ROUNDING)
        await assert_gone(store, session, why="ttl=None means the default TTL, which has passed")


async def _assert_takes_none(context: TestContext, call: Awaitable[None], *, doing: str) -> None:
    """Call with ``ttl=None`` explicitly, past the recording, which leaves the argument out."""
    context.history.note(f"… {doing} with ttl=None …")
    if isinstance(got := await outcome_of(call), Exception):
        raise Violation(f"{doing} with ttl=None {describe(got)}", should="do what it does without ttl")


@clause_test("EX-6", waits=True, at_most=10, needs=[Capability.DEFAULT_TTL], session=sessions(), default=ttls())
async def test_a_handle_may_have_another_default_ttl(
    context: TestContext, session: SessionData, default: float
) -> None:
    default = context.ttl(default)
    if (store := await with_default_ttl(context, default)) is None:
        return
    written_at = context.now()
    await store.create_session(session)
    await assert_live(context, store, session, until=written_at + default)
    if context.can(Capability.CLOCK):
        await context.pass_time(default - JUST_BEFORE)
        await assert_live(context, store, session, until=written_at + default)
    await context.pass_time(max(0.0, written_at + default + ROUNDING - context.now()))
    await assert_default_ttl_is_used(store, session, default)


@clause_test("EX-6", waits=True, at_most=2, needs=[Capability.DEFAULT_TTL], session=sessions())
async def test_the_default_ttl_is_that_of_the_handle_that_creates(context: TestContext, session: SessionData) -> None:
    ttl = context.ttl(60)
    if (pair := await _brief_and_long(context, ttl)) is None:
        return
    brief, long = pair
    lasting = session.model_copy(update={"session_id": f"lasting {session.session_id}"})
    written_at = context.now()
    await brief.create_session(session)
    await long.create_session(lasting)
    for handle in pair:
        await assert_live(context, handle, session, until=written_at + ttl)
    await context.pass_time(ttl + ROUNDING)
    for handle in pair:
        await assert_gone(handle, session, why=f"the creating handle's default TTL of {ttl:.12g} s has passed")
        await assert_live(context, handle, lasting, until=written_at + LONG)


async def _brief_and_long(context: TestContext, ttl: float) -> tuple[RecordingBackend, RecordingBackend] | None:
    """Return two handles on the store, one with this default TTL and one with a longer; ``None`` if impossible."""
    if not context.can(Capability.SHARED):
        context.leave_out("two handles with different default TTLs (needs SHARED)")
        return None
    brief, long = await with_default_ttl(context, ttl), await with_default_ttl(context, LONG)
    return None if brief is None or long is None else (brief, long)


async def _renew(
    context: TestContext, store: RecordingBackend, session: SessionData, named: Any, ttl: float | None, *, end: float
) -> None:
    """Update a session. Raise :class:`NotMeasurable` if it was not found and the call returned after its end."""
    try:
        await store.update_session(session.identity, session.session_id, named, ttl)
    except SessionNotFoundError:
        if context.now() < end:
            raise
        raise NotMeasurable(
            "the store was too slow to update a session before its TTL of 1 to 2 s had passed"
        ) from None


@clause_test("EX-7", waits=True, session=sessions(), first=ttls(), second=ttls(), named=changes())
async def test_an_update_with_ttl_sets_it_anew(
    context: TestContext, session: SessionData, first: float, second: float, named: dict[str, Any]
) -> None:
    store = await context.store()
    first, second = context.ttl(first), context.ttl(second)
    written_at = context.now()
    await store.create_session(session, first)
    await context.pass_time(first * 0.1)
    renewed = context.now()
    await _renew(context, store, session, named, second, end=written_at + first)
    await assert_live(context, store, session, until=renewed + second)
    await context.pass_time(second * 0.9)
    await assert_live(context, store, session, until=renewed + second)
    await context.pass_time(second * 0.1 + ROUNDING)
    await assert_gone(store, session, why=f"the renewed TTL of {second:.12g} s has passed")


@clause_test("EX-7", waits=True, session=sessions(), ttl=ttls(), what=every("nothing", "a field", "what is stored"))
async def test_an_update_without_ttl_renews_for_the_default(
    context: TestContext, session: SessionData, ttl: float, what: str
) -> None:
    store = await context.store()
    ttl = context.ttl(ttl) + 2
    await store.create_session(session, ttl)
    renewed = context.now()
    stored: dict[str, Any] = {"server_name": session.server_name, "active": session.active}
    named: dict[str, Any] = {"nothing": {}, "a field": {"server_name": "renewed"}, "what is stored": stored}[what]
    await store.update_session(session.identity, session.session_id, named)
    await context.pass_time(context.default_ttl - 0.5 if context.can(Capability.CLOCK) else ttl + ROUNDING)
    await assert_live(context, store, session, until=renewed + context.default_ttl)
    if context.can(Capability.CLOCK):
        await context.pass_time(0.5 + ROUNDING)
        await assert_gone(store, session, why="the default TTL has passed since the update")


@clause_test("EX-7", waits=True, at_most=10, needs=[Capability.DEFAULT_TTL], session=sessions(), default=ttls())
async def test_a_handle_renews_for_its_own_default(context: TestContext, session: SessionData, default: float) -> None:
    default = context.ttl(default)
    if (store := await with_default_ttl(context, default)) is None:
        return
    await store.create_session(session, 10 * default)
    renewed = context.now()
    await store.update_session(session.identity, session.session_id, {"server_name": "renewed"})
    await assert_live(context, store, session, until=renewed + default)
    if context.can(Capability.CLOCK):
        await context.pass_time(default - JUST_BEFORE)
        await assert_live(context, store, session, until=renewed + default)
    await context.pass_time(max(0.0, renewed + default + ROUNDING - context.now()))
    await assert_gone(store, session, why=f"the handle's default TTL of {default:.12g} s has passed since the update")


@clause_test("EX-7", waits=True, at_most=1, session=sessions())
async def test_an_update_with_a_ttl_of_none_renews_for_the_default(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    ttl = context.ttl(60) + 2
    changed, renewed = (session.model_copy(update={"session_id": context.session_id(name)}) for name in ("a", "b"))
    begun = context.now()
    for each, named in (changed, SessionUpdate(server_name="changed")), (renewed, SessionUpdate()):
        await store.create_session(each, ttl)
        update = store.backend.update_session(each.identity, each.session_id, named, ttl=None)
        await _assert_takes_none(context, update, doing="updating")
    await context.pass_time(ttl + ROUNDING)
    for each in changed, renewed:
        await assert_live(context, store, each, until=begun + context.default_ttl)
    if context.can(Capability.CLOCK):
        await context.pass_time(context.default_ttl - ttl)
        for each in changed, renewed:
            await assert_gone(store, each, why="ttl=None means the default TTL, which has passed since the update")


@clause_test("EX-7", waits=True, at_most=1, session=sessions())
async def test_a_session_is_renewed_as_often_as_it_is_updated(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    often, ttl, lives = (
        (100, None, context.default_ttl) if context.can(Capability.CLOCK) else (2, context.ttl(60), context.ttl(60))
    )
    renewed = context.now()
    await store.create_session(session, lives)
    for _, named in product(range(often), ({}, {"server_name": "renewed"})):
        await context.pass_time(lives * 0.6)
        end, renewed = renewed + lives, context.now()
        await _renew(context, store, session, named, ttl, end=end)
    await context.pass_time(lives * 0.6)
    await assert_live(context, store, session, until=renewed + lives)


@clause_test("EX-7", waits=True, at_most=2, needs=[Capability.DEFAULT_TTL], session=sessions())
async def test_the_default_ttl_is_that_of_the_handle_that_updates(context: TestContext, session: SessionData) -> None:
    ttl = context.ttl(60) + 2
    if (pair := await _brief_and_long(context, ttl)) is None:
        return
    brief, long = pair
    lasting = session.model_copy(update={"session_id": f"lasting {session.session_id}"})
    renewed = context.now()
    await brief.create_session(lasting)
    await long.update_session(lasting.identity, lasting.session_id, {})
    await long.create_session(session)
    await brief.update_session(session.identity, session.session_id, {})
    await context.pass_time(ttl + ROUNDING)
    for handle in pair:
        await assert_gone(handle, session, why=f"the updating handle's default TTL of {ttl:.12g} s has passed")
        await assert_live(context, handle, lasting, until=renewed + LONG)


@clause_test("EX-8", at_most=2, session=sessions())
async def test_a_ttl_that_makes_no_sense_is_refused(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    name = session.identity, session.session_id
    for ttl in BAD_TTLS:
        await assert_raises(InvalidSessionError, store.create_session(session, ttl), doing=f"creating with ttl={ttl!r}")
        await assert_gone(store, session, why=f"the create with ttl={ttl!r} was refused")
    await store.create_session(session)
    for bad, named in product(BAD_TTLS, ({"server_name": "changed"}, {})):
        update = store.update_session(*name, named, bad)
        await assert_raises(InvalidSessionError, update, doing=f"updating with ttl={bad!r}")
        if found := difference(await store.get_session(*name), session):
            raise Violation(f"after an update with ttl={bad!r} get_session returned {found}", should="change nothing")


@clause_test("EX-8", at_most=1, session=sessions())
async def test_the_longest_ttl_is_taken(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    written_at = context.now()
    await store.create_session(session, LONGEST_TTL)
    await assert_live(context, store, session, until=written_at + LONGEST_TTL)


WRITES: tuple[SessionUpdate | None, ...] = (None, {}, {"server_name": "renewed"})
"""The writes that set a TTL: a create, or an update of these fields."""


async def _written(store: RecordingBackend, session: SessionData, write: SessionUpdate | None, ttl: float) -> None:
    """Create the session with this TTL, or give it the TTL by an update of these fields."""
    if write is None:
        return await store.create_session(session, ttl)
    await store.create_session(session)
    await store.update_session(session.identity, session.session_id, write, ttl)
    return None


@clause_test("EX-9", waits=True, at_most=3, session=sessions(), write=every(*WRITES))
async def test_ten_years_are_kept_as_given(
    context: TestContext, session: SessionData, write: SessionUpdate | None
) -> None:
    store = await context.store()
    written_at = context.now()
    await _written(store, session, write, TEN_YEARS)
    await assert_live(context, store, session, until=written_at + TEN_YEARS)
    if context.can(Capability.CLOCK):
        await context.pass_time(TEN_YEARS - 1)
        await assert_live(context, store, session, until=written_at + TEN_YEARS)
        await context.pass_time(1 + ROUNDING)
        await assert_gone(store, session, why="its TTL of ten years has passed")


@clause_test("EX-9", waits=True, session=sessions(), part=st.floats(0.05, 0.95), write=every(*WRITES))
async def test_a_fraction_of_a_second_is_honoured(
    context: TestContext, session: SessionData, part: float, write: SessionUpdate | None
) -> None:
    store = await context.store()
    ttl = 1 + part
    written_at = context.now()
    await _written(store, session, write, ttl)
    await context.pass_time(ttl - 0.02 if context.can(Capability.CLOCK) else 1.0)
    await assert_live(context, store, session, until=written_at + ttl)
    await context.pass_time(0.02 + ROUNDING if context.can(Capability.CLOCK) else part + ROUNDING)
    await assert_gone(store, session, why=f"its TTL of {ttl:.12g} s has passed")


@clause_test("EX-9", waits=True, at_most=3, session=sessions(), write=every(*WRITES))
async def test_less_than_a_second_is_honoured(
    context: TestContext, session: SessionData, write: SessionUpdate | None
) -> None:
    store = await context.store()
    brief = {
        ttl: session.model_copy(update={"session_id": f"{ttl} {session.session_id}"}) for ttl in (0.75, 0.25, 0.0004)
    }
    for ttl, each in brief.items():
        written_at = context.now()
        await _written(store, each, write, ttl)
        if context.can(Capability.CLOCK) or ttl > FINEST:
            await assert_live(context, store, each, until=written_at + ttl)
    await context.pass_time(max(brief) + ROUNDING)
    for ttl, each in brief.items():
        await assert_gone(store, each, why=f"its TTL of {ttl:.12g} s has passed")
