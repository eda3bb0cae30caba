"""EX · ends: many sessions that end at once, cleanup just before an end, and every ttl that a store must take."""

from __future__ import annotations

from calendar import SUNDAY, monthrange, weekday
from datetime import UTC, datetime
from itertools import product

from hypothesis import strategies as st

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.assertions import JUST_BEFORE, assert_gone, assert_live, assert_shows
from pytest_mcp_storage.oracle.bulk_create import create_many
from pytest_mcp_storage.oracle.edge_cases import naming_moments
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.oracle.limits import LONGEST_TTL
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import short_repr
from reference_backends import SessionData, SessionExistsError

MANY = {"smoke": 130, "standard": 1_101, "deep": 2_501}
LEFT = (0.5, 0.999, JUST_BEFORE, 1.0, 59.5, 3_599.0)
"""Seconds that a session has left when cleanup runs."""
TTLS = (0.001, 0.5, 1, 1.5, 59.999, 60, 3_600, 86_400.25, 2_592_000, 2_592_001, 2**31 / 1000, 2**31, LONGEST_TTL)
"""Seconds; some of them are limits of stores: memcached's month, 32-bit milliseconds and seconds."""


@clause_test("EX-2", waits=True, at_most=1, session=sessions())
async def test_no_listing_shows_one_of_many_expired_sessions(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    count = MANY[context.tier.name]
    ttl = context.ttl(60) + 2
    ended = await create_many(context, store, session, count, ttl)
    lasting = await create_many(context, store, session, 3, 100_000, first=count)
    ended += await create_many(context, store, session, 3, ttl, first=count + 3)
    await context.pass_time(ttl + ROUNDING)
    expected = sorted(each.session_id for each in lasting)
    listings = {
        "get_identity_mcp_sessions": await store.get_identity_mcp_sessions(session.identity),
        "get_identity_sessions_data": [e.session_id for e in await store.get_identity_sessions_data(session.identity)],
    }
    if context.store_is_ours:
        ours = {each.session_id for each in (*ended, *lasting)}
        listings["get_all_session_ids"] = [each for each in await store.get_all_session_ids() if each in ours]
    for method, ids in listings.items():
        if sorted(ids) != expected:
            raise Violation(
                f"{method} returned {len(ids)} ids, of {len(ended)} expired sessions and {len(lasting)} live ones: "
                f"{short_repr(sorted(ids), 120)}",
                should=f"be {expected}",
            )


@clause_test("EX-1", waits=True, at_most=2, session=sessions(), sealed=every(False, True))
async def test_no_moment_that_a_session_holds_ends_it(context: TestContext, session: SessionData, sealed: bool) -> None:
    """Let moments pass that tokens and client information name: only the session's own TTL ends it."""
    store = await context.store(sealed=sealed)
    ttl = context.ttl(3_600) + 2
    written_at = context.now()
    session = session.model_copy(update=naming_moments(context.environment.time.epoch() + ttl / 4, int(ttl / 4)))
    await store.create_session(session, ttl)
    await context.pass_time(ttl / 2)
    await assert_live(context, store, session, until=written_at + ttl)


@clause_test("EX-5", at_most=2, session=sessions(), renewed=every(False, True))
async def test_cleanup_leaves_what_is_about_to_end(context: TestContext, session: SessionData, renewed: bool) -> None:
    """Clean up just before the end of each session: whole seconds, minutes and hours must not be rounded up."""
    if not context.can(Capability.CLOCK):
        return context.leave_out("cleanup just before the end of a session (needs CLOCK)")
    store = await context.store()
    for number, (left, ttl) in enumerate(product(LEFT, (3_600.25, 7_200))):
        each = session.model_copy(update={"session_id": context.session_id(f"{number}")})
        written_at = context.now()
        await store.create_session(each, 10 if renewed else ttl)
        if renewed:
            await store.update_session(each.identity, each.session_id, {}, ttl)
        await context.pass_time(ttl - left)
        await store.cleanup_expired_sessions()
        await assert_live(context, store, each, until=written_at + ttl)
        await context.pass_time(left + ROUNDING)
        await store.cleanup_expired_sessions()
        await assert_shows(context, store, gone=[each], when="after cleanup", should="show nothing of it")
    return None


@clause_test("EX-5", waits=True, at_most=1, session=sessions())
async def test_cleanup_leaves_the_same_id_of_another_identity(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    ttl, begun = context.ttl(60) + 2, context.now()
    other = session.model_copy(update={"identity": context.identity("other")})
    await store.create_session(session, ttl)
    if isinstance(await outcome_of(store.create_session(other, 10 * ttl)), SessionExistsError):
        return context.leave_out("one id of two identities: this store refuses it (ID-4)")
    await context.pass_time(ttl + ROUNDING)
    await store.cleanup_expired_sessions()
    await assert_live(context, store, other, until=begun + 10 * ttl)
    return None


@clause_test("EX-8", at_most=2, session=sessions(), drawn=st.floats(0.001, LONGEST_TTL))
async def test_every_ttl_within_the_bounds_is_taken(context: TestContext, session: SessionData, drawn: float) -> None:
    """Create and update with whole and broken ttls, as ``int`` and as ``float``, up to a hundred years."""
    store = await context.store()
    for number, ttl in enumerate((*TTLS, *map(float, TTLS), drawn)):
        created, updated = (
            session.model_copy(update={"session_id": context.session_id(f"{name} {number}")}) for name in "cu"
        )
        changes = ({}, {"server_name": "new"})[number % 2]
        written_at = context.now()
        await store.create_session(created, ttl)
        await store.create_session(updated)
        await store.update_session(updated.identity, updated.session_id, changes, ttl)
        for each in created, updated:
            if await store.get_session(each.identity, each.session_id) is None and context.now() < written_at + ttl:
                raise Violation(f"get_session returned nothing after a write with ttl={ttl!r}", should="take it")


def clock_changes(now: float) -> list[float]:
    """Return the next changes of wall clocks in Europe and North America after ``now``, in seconds since the epoch."""
    found: list[float] = []
    for year in (datetime.fromtimestamp(now, UTC).year + 1,):
        for month, sunday, hours in ((3, -1, (1,)), (10, -1, (1,)), (3, 1, (7, 10)), (11, 0, (6, 9))):
            days = [day for day in range(1, monthrange(year, month)[1] + 1) if weekday(year, month, day) == SUNDAY]
            found += [datetime(year, month, days[sunday], hour, tzinfo=UTC).timestamp() for hour in hours]
    return sorted(found)


@clause_test("EX-2", at_most=1, session=sessions())
async def test_sessions_end_on_time_when_wall_clocks_change(context: TestContext, session: SessionData) -> None:
    """Let sessions live across the hours that wall clocks show twice, or not at all."""
    if not context.can(Capability.CLOCK):
        return context.leave_out("sessions that live while wall clocks change (needs CLOCK)")
    store = await context.store()
    for place, change in enumerate(clock_changes(context.now())):
        for before, ttl in product((1_800, 5_400), (1_800, 3_600, 7_200)):
            await context.pass_time(max(0.0, change - before - context.now()) if before > 1_800 else 0.0)
            each = session.model_copy(update={"session_id": context.session_id(f"{place} {before} {ttl}")})
            written_at = context.now()
            await store.create_session(each, ttl)
            await context.pass_time(ttl - 1)
            await assert_live(context, store, each, until=written_at + ttl)
            await context.pass_time(1 + ROUNDING)
            await assert_gone(store, each, why=f"its TTL of {ttl} s has passed, whatever wall clocks show")
    return None
