"""LC · reopening: what was given at open holds after ``disconnect`` and ``init``, and other handles are unaffected."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.canary.envelopes import flaw
from pytest_mcp_storage.engine.at_rest import row_of
from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.assertions import assert_gone, assert_live, assert_shows
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.generators import CREDENTIALS, sessions
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import NotMeasurable
from reference_backends import ConfigurationError, SessionData

SHORT_DEFAULT = 300.0
TTLS = (None, 60.0, 100_000.0)


async def reopen(store: RecordingBackend, times: int) -> None:
    """Close and open the handle, with a second call of each."""
    for _ in range(times):
        await store.disconnect()
        await store.disconnect()
        await store.init()
        await store.init()


@clause_test("LC-11", session=sessions(), sealed=every(False, True))
async def test_init_and_disconnect_may_be_repeated(context: TestContext, session: SessionData, sealed: bool) -> None:
    store = await context.open(*(context.usual_keys if sealed else ()))
    before = session.model_copy(update={**FILLED, "session_id": context.session_id("before")})
    await store.create_session(before)
    await store.disconnect()
    await store.disconnect()
    await store.init()
    if context.can(Capability.DURABLE):
        await assert_shows(context, store, [before], when="after disconnect and init", should="show the session")
    await store.create_session(session)
    await store.init()
    await assert_shows(context, store, [session], when="after a second init", should="show the session")
    await store.disconnect()
    await store.disconnect()
    await store.init()
    if context.can(Capability.DURABLE):
        await assert_shows(context, store, [session], when="after disconnect and init", should="show the session")
        await store.remove_session(session.identity, session.session_id)
    await outcome_of(store.remove_session(session.identity, session.session_id))
    await store.create_session(session)
    await assert_shows(context, store, [session], when="after disconnect, init and a create", should="work as before")


@clause_test("LC-11", waits=True, at_most=2, session=sessions(), times=every(1, 2))
async def test_the_clock_holds_after_init(context: TestContext, session: SessionData, times: int) -> None:
    if not context.can(Capability.CLOCK):
        return context.leave_out("the clock after disconnect and init (needs CLOCK)")
    store = await context.open(*context.usual_keys)
    await reopen(store, times)
    await _assert_ttls_hold(context, store, session, context.default_ttl)
    await store.disconnect()
    return None


@clause_test("LC-11", waits=True, at_most=2, needs=[Capability.DEFAULT_TTL], session=sessions(), times=every(1, 2))
async def test_the_default_ttl_holds_after_init(context: TestContext, session: SessionData, times: int) -> None:
    if not context.can(Capability.CLOCK):
        return context.leave_out("another default TTL after disconnect and init (needs CLOCK)")
    try:
        store = await context.open(*context.usual_keys, default_ttl=SHORT_DEFAULT)
    except NotMeasurable as error:
        return context.leave_out(f"another default TTL after disconnect and init: {error}")
    await reopen(store, times)
    await _assert_ttls_hold(context, store, session, SHORT_DEFAULT)
    await store.disconnect()
    return None


async def _assert_ttls_hold(
    context: TestContext, store: RecordingBackend, session: SessionData, default: float
) -> None:
    """Create and renew with each TTL; each session is live until its end by the clock, and gone after it."""
    written_at = context.now()
    ends: dict[float, list[SessionData]] = {}
    for number, ttl in enumerate(TTLS):
        for renewed in (False, True):
            each = session.model_copy(update={"session_id": context.session_id(f"{number}.{renewed}")})
            await store.create_session(each, 10 if renewed else ttl)
            if renewed:
                await store.update_session(each.identity, each.session_id, {}, ttl)
            ends.setdefault(default if ttl is None else ttl, []).append(each)
    for end, those in sorted(ends.items()):
        await context.pass_time(written_at + end - 1 - context.now())
        for each in those:
            await assert_live(context, store, each, until=written_at + end)
        await context.pass_time(1 + ROUNDING)
        for each in those:
            await assert_gone(store, each, why=f"its TTL of {end:.12g} s has passed since a write after init")


@clause_test("LC-11", at_most=2, session=sessions(), several=every(False, True))
async def test_the_keys_hold_after_init(context: TestContext, session: SessionData, several: bool) -> None:
    if not context.can(Capability.KEY):
        return context.leave_out("keys after disconnect and init (needs KEY)")
    keys = (context.other_key, context.key) if several else (context.key,)
    old = session.model_copy(update={**FILLED, "session_id": context.session_id("old")})
    if context.one_store:
        first = await context.open(context.key)
        await first.create_session(old)
        await first.disconnect()
    store: Any = await outcome_of(context.open(*keys))
    if several and isinstance(store, ConfigurationError):
        return context.leave_out("several keys after disconnect and init: the store takes one")
    if isinstance(store, Exception):
        raise store
    await reopen(store, 2)
    new = session.model_copy(update={**FILLED, "session_id": context.session_id("new")})
    await store.create_session(new)
    await store.update_session(new.identity, new.session_id, {"headers": {"x": "new"}})
    new = new.model_copy(update={"headers": {"x": "new"}})
    shown = [old, new] if context.one_store else [new]
    await assert_shows(context, store, shown, when="after disconnect and init", should="read with the keys of open()")
    if context.can(Capability.AT_REST):
        stored = await row_of(context, new)
        for field in CREDENTIALS:
            if found := flaw(stored[field], getattr(new, field), keys[0]):
                raise Violation(
                    f"{field} written after disconnect and init are stored as {found}",
                    should="be sealed with the first key of open()",
                )
    await store.disconnect()
    return None


@clause_test("LC-11", at_most=3, session=sessions(), closed=every(0, 1, 2))
async def test_closing_a_handle_twice_closes_no_other(context: TestContext, session: SessionData, closed: int) -> None:
    """Close one of three handles more than once, and open it again: the others go on."""
    if not context.can(Capability.SHARED):
        return context.leave_out("other handles while one is closed twice (needs SHARED)")
    handles = [await context.open(*context.usual_keys) for _ in range(3)]
    one = handles.pop(closed)
    first = session.model_copy(update={"session_id": context.session_id("first")})
    second = session.model_copy(update={"session_id": context.session_id("second")})
    await one.create_session(first)
    for _ in range(4):
        await one.disconnect()
    when, should = "after another handle was closed several times", "go on"
    for handle in handles:
        await assert_shows(context, handle, [first], when=when, should=should)
    await handles[0].create_session(second)
    await handles[1].update_session(second.identity, second.session_id, {"server_name": "n"})
    second = second.model_copy(update={"server_name": "n"})
    await one.init()
    for handle in (one, *handles):
        await assert_shows(context, handle, [first, second], when="after it was opened again", should=should)
    await handles[0].disconnect()
    await handles[0].disconnect()
    await assert_shows(context, one, [first, second], when=when, should=should)
    for handle in (*handles, one):
        await handle.disconnect()
    return None
