"""EX · expiry: a session lives for its TTL, no longer, and no read shows it after that."""

from __future__ import annotations

from collections.abc import Coroutine
from itertools import product
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.canary.envelopes import seal
from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, assert_raises
from pytest_mcp_storage.oracle.assertions import (
    JUST_BEFORE,
    assert_absent,
    assert_gone,
    assert_live,
    assert_shows,
    shown_by,
)
from pytest_mcp_storage.oracle.bulk_create import create_many
from pytest_mcp_storage.oracle.confusables import known_confusables
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.generators import ABSENT, families, sessions, ttls
from pytest_mcp_storage.oracle.machine import ExpiryMachine
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.workloads.callers import all_at_once
from reference_backends import SessionData, SessionNotFoundError


def batches() -> st.SearchStrategy[list[tuple[SessionData, float]]]:
    """Sessions, each with its own TTL."""
    return st.lists(st.tuples(sessions(), ttls()), min_size=1, max_size=4, unique_by=lambda each: each[0].session_id)


@clause_test("EX-1", waits=True, session=sessions(), ttl=ttls())
async def test_a_session_lives_until_its_ttl_has_passed(context: TestContext, session: SessionData, ttl: float) -> None:
    store = await context.store()
    ttl = context.ttl(ttl)
    written_at = context.now()
    await store.create_session(session, ttl)
    await assert_live(context, store, session, until=written_at + ttl)
    await context.pass_time(ttl * 0.6)
    await assert_live(context, store, session, until=written_at + ttl)
    if context.can(Capability.CLOCK):
        await context.pass_time(ttl * 0.4 - JUST_BEFORE)
        await assert_live(context, store, session, until=written_at + ttl)


@clause_test("EX-2", waits=True, at_most=20, family=families(max_size=3), ttl=ttls())
async def test_no_read_shows_an_expired_session(context: TestContext, family: list[SessionData], ttl: float) -> None:
    store = await context.store()
    ttl = context.ttl(ttl)
    for session in family:
        await store.create_session(session, ttl)
    for _ in range(2):
        for session in family:  # a cache has these now, and a TTL that counts from a read starts again
            await shown_by(store, session)
        await context.pass_time(ttl / 2)
    await context.pass_time(ROUNDING)
    for session in family:
        await assert_gone(store, session, why=f"its TTL of {ttl:.12g} s has passed")
    if context.store_is_ours:
        await store.cleanup_expired_sessions()
        for session in family:
            await assert_gone(store, session, why=f"its TTL of {ttl:.12g} s has passed, and cleanup has run")


@clause_test("EX-2", waits=True, at_most=1, session=sessions())
async def test_no_read_stumbles_over_an_expired_session(context: TestContext, session: SessionData) -> None:
    for each in await _expired_and_unreadable(context, session):
        await assert_gone(await context.store(), each, why="its TTL has passed, and it need not be decrypted")


async def _expired_and_unreadable(context: TestContext, session: SessionData) -> list[SessionData]:
    """Return two sessions whose TTL has passed, one of them under another key; none if that can't be arranged."""
    if not (context.can(Capability.AT_REST) and context.can(Capability.KEY)):
        context.leave_out("an expired session that can't be decrypted (needs AT_REST and KEY)")
        return []
    ttl = context.ttl(60) + 2
    both = [session.model_copy(update={**FILLED, "session_id": context.session_id(f"{n}")}) for n in range(2)]
    for each in both:
        await (await context.store()).create_session(each, ttl)
    await context.plant(both[0], "tokens", str(seal(b'{"access_token":"t"}', context.other_key)))
    await context.pass_time(ttl + ROUNDING)
    return both


@clause_test("EX-3", waits=True, at_most=10, session=sessions(), ttl=ttls())
async def test_an_expired_session_cannot_be_updated(context: TestContext, session: SessionData, ttl: float) -> None:
    store = await context.store()
    ttl = context.ttl(ttl)
    await store.create_session(session, ttl)
    await shown_by(store, session)  # a cache has these now
    await context.pass_time(ttl + ROUNDING)
    for named, new_ttl in product(({"server_name": "revived"}, {}), (60, None)):
        update = store.update_session(session.identity, session.session_id, named, new_ttl)
        await assert_raises(SessionNotFoundError, update, doing="updating an expired session")
        await assert_gone(store, session, why="an update must not bring it back")


@clause_test("EX-4", waits=True, old=sessions(), new=sessions(), ttl=ttls())
async def test_an_expired_id_can_be_created_anew(
    context: TestContext, old: SessionData, new: SessionData, ttl: float
) -> None:
    store = await context.store()
    ttl = context.ttl(ttl)
    new = new.model_copy(update={"identity": old.identity, "session_id": old.session_id})
    await store.create_session(old, ttl)
    await shown_by(store, old)  # a cache has these now
    await context.pass_time(ttl + ROUNDING)
    written_at = context.now()
    await store.create_session(new, 3600)
    should = "show the new session, and nothing of the old one"
    await assert_shows(context, store, [new], when="after the new create", should=should)
    if context.store_is_ours:
        await store.cleanup_expired_sessions()
        await assert_shows(context, store, [new], when="after the new create and cleanup", should=should)
    if context.can(Capability.CLOCK):
        await context.pass_time(1800)
    await assert_live(context, store, new, until=written_at + 3600)


@clause_test("EX-4", waits=True, old=sessions(), new=sessions(), ttl=ttls())
async def test_an_expired_id_can_be_created_by_another_identity(
    context: TestContext, old: SessionData, new: SessionData, ttl: float
) -> None:
    store = await context.store()
    ttl = context.ttl(ttl)
    new = new.model_copy(update={"identity": context.identity("another"), "session_id": old.session_id})
    await store.create_session(old, ttl)
    await context.pass_time(ttl + ROUNDING)
    await store.create_session(new)
    should = "show the new session, and nothing of the old one"
    await assert_shows(context, store, [new], when="after a create by another identity", should=should)
    await assert_absent(store, old, why="it expired, and its id is another identity's now")


@clause_test("EX-4", waits=True, at_most=1, session=sessions())
async def test_no_field_of_an_expired_session_shines_through(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    ttl = context.ttl(60)
    await store.create_session(session.model_copy(update=FILLED), ttl)
    await context.pass_time(ttl + ROUNDING)
    new = session.model_copy(update=ABSENT)
    await store.create_session(new)
    await assert_shows(context, store, [new], when="after the new create", should="show nothing of the old session")


@clause_test("EX-4", waits=True, at_most=1, session=sessions())
async def test_an_expired_id_can_be_created_anew_whatever_its_key(context: TestContext, session: SessionData) -> None:
    for each in await _expired_and_unreadable(context, session):
        store = await context.store()
        await store.create_session(each)
        await assert_shows(context, store, [each], when="after the new create", should="show the new session")


@clause_test("EX-4", waits=True, at_most=20, session=sessions())
async def test_reads_beside_the_new_create_leave_it_alone(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    name = session.identity, session.session_id
    ttl = context.ttl(60)
    await store.create_session(session, ttl)
    await context.pass_time(ttl + ROUNDING)

    def reads() -> list[Coroutine[Any, Any, Any]]:
        listings = store.get_identity_sessions_data, store.get_identity_mcp_sessions
        return [store.get_session(*name), *(listing(session.identity) for listing in listings)]

    await all_at_once([*reads(), store.create_session(session, 3600), *reads()])
    should = "show it: a read that finds the old one expired must not take the new one for that"
    await assert_shows(context, store, [session], when="after a create during reads", should=should)


@clause_test("EX-5", waits=True, at_most=10, family=families(2, 4), ttl=ttls())
async def test_cleanup_removes_the_expired_and_no_other(
    context: TestContext, family: list[SessionData], ttl: float
) -> None:
    store = await context.store()
    ttl = context.ttl(ttl)
    names = "neighbour, lives", "renewed, lives", "created again, lives"
    live = [family[0].model_copy(update={"session_id": context.session_id(name)}) for name in names]
    neighbour, renewed, recreated = live
    await store.create_session(neighbour, 500_000)
    await store.create_session(renewed, ttl)
    await store.update_session(renewed.identity, renewed.session_id, {}, 500_000)
    await store.create_session(recreated, ttl)
    await store.remove_session(recreated.identity, recreated.session_id)
    await store.create_session(recreated, 500_000)
    for session in family:
        await store.create_session(session, ttl)
    await context.pass_time(ttl + ROUNDING)
    for _ in range(2):
        await store.cleanup_expired_sessions()
        await assert_shows(
            context, store, live, family, when="after cleanup", should="remove the expired, and no other"
        )
    for session in family:
        await assert_has_no_row(context, session)


@clause_test("EX-5", waits=True, at_most=1, needs=[Capability.AT_REST], session=sessions())
async def test_cleanup_is_complete_past_any_page_size(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    count = min(context.tier.clearing, context.tier.listed)
    many = await create_many(context, store, session, count, 1)
    many += await create_many(context, store, session, count // 2, 1, identities=True)
    await context.pass_time(1 + ROUNDING)
    await store.cleanup_expired_sessions()
    for each in many:
        await assert_has_no_row(context, each)


@clause_test("EX-5", waits=True, at_most=1, session=sessions())
async def test_cleanup_leaves_what_was_renewed(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    ttl = context.ttl(60) + 2
    renewed: list[SessionData] = []
    for named, longer in product(({}, {"server_name": "renewed"}), (None, 500_000)):
        each = session.model_copy(update={"session_id": context.session_id(f"{len(renewed)}")})
        await store.create_session(each, ttl)
        await store.update_session(each.identity, each.session_id, named, longer)
        renewed.append(each.model_copy(update=named))
    await context.pass_time(ttl + ROUNDING)
    await store.cleanup_expired_sessions()
    await assert_shows(context, store, renewed, when="after cleanup", should="leave what was renewed")
    if context.can(Capability.CLOCK):
        await context.pass_time(500_000)
        await store.cleanup_expired_sessions()
        for each in renewed:
            await assert_has_no_row(context, each)


@clause_test("EX-5", waits=True, at_most=1, session=sessions())
async def test_cleanup_keeps_names_apart_that_look_alike(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    brief, lasting, end = await _confusables(context, session)
    await store.cleanup_expired_sessions()
    await _assert_tells_apart(context, store, brief, lasting, until=end)
    for each in brief:
        await assert_has_no_row(context, each)


async def _confusables(
    context: TestContext, session: SessionData
) -> tuple[list[SessionData], list[SessionData], float]:
    """Return of each pair of confusables the one whose TTL has passed, the other, and the end of the latter's TTL."""
    store = await context.store()
    ttl, written_at = context.ttl(60) + 2, context.now()
    pairs = [
        [
            session.model_copy(
                update={"identity": context.identity(name[0]), "session_id": context.session_id(name[1])}
            )
            for name in ((f"{number}.{one}", f"{other}.{number}") for one, other in pair)
        ]
        for number, pair in enumerate(known_confusables())
    ]
    for brief, lasting in pairs:
        await store.create_session(brief, ttl)
        await store.create_session(lasting, 3600)
    await context.pass_time(ttl + ROUNDING)
    return [brief for brief, _ in pairs], [lasting for _, lasting in pairs], written_at + 3600


async def _assert_tells_apart(
    context: TestContext, store: RecordingBackend, brief: list[SessionData], lasting: list[SessionData], *, until: float
) -> None:
    for ended, other in zip(brief, lasting, strict=True):
        if await store.get_session(ended.identity, ended.session_id) is not None:
            raise Violation(f"get_session returned {ended!r} after its TTL", should="end each in its own time")
        if await store.get_session(other.identity, other.session_id) is None and context.now() < until:
            like = f"{ended.identity!r}, {ended.session_id!r}"
            raise Violation(f"get_session returned nothing once the session of {like} had ended", should="return it")


@clause_test("EX-5", waits=True, at_most=20, session=sessions())
async def test_cleanup_leaves_what_is_created_beside_it(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    ttl = context.ttl(60)
    many = [session.model_copy(update={"session_id": context.session_id(f"{number}")}) for number in range(5)]
    for each in many:
        await store.create_session(each, ttl)
    await context.pass_time(ttl + ROUNDING)
    creates = [store.create_session(each, 3600) for each in many]
    await all_at_once([store.cleanup_expired_sessions(), *creates])
    should = "remove the expired sessions, and not the new ones of their names"
    await assert_shows(context, store, many, when="after creates during a cleanup", should=should)


@clause_test("EX-5", waits=True, at_most=1, session=sessions())
async def test_cleanup_removes_what_cannot_be_decrypted(context: TestContext, session: SessionData) -> None:
    both = await _expired_and_unreadable(context, session)
    await (await context.store()).cleanup_expired_sessions()
    for each in both:
        await assert_has_no_row(context, each)


async def assert_has_no_row(context: TestContext, session: SessionData) -> None:
    """AT_REST: assert that no row of the session is stored."""
    if not context.can(Capability.AT_REST):
        return
    try:
        await context.harness.stored_fields(session.identity, session.session_id)
    except LookupError:
        return
    raise Violation(f"after cleanup the expired row of {session.session_id!r} is still stored", should="be removed")


@clause_test("EX-10", waits=True, batch=batches())
async def test_neighbours_expire_each_in_its_own_time(
    context: TestContext, batch: list[tuple[SessionData, float]]
) -> None:
    store = await context.store()
    identity = batch[0][0].identity
    family = [(session.model_copy(update={"identity": identity}), context.ttl(ttl)) for session, ttl in batch]
    written_at = context.now()
    for session, ttl in family:
        await store.create_session(session, ttl)
    renewed = family[0][0].model_copy(update={"session_id": context.session_id("the neighbour that is renewed")})
    await store.create_session(renewed, 500_000)
    await store.update_session(identity, renewed.session_id, {}, 500_000)
    stored = context.now()
    for session, ttl in sorted(family, key=lambda each: each[1]):
        now = stored if context.can(Capability.CLOCK) else context.now()
        await context.pass_time(max(0.0, stored + ttl + ROUNDING - now))
        await assert_gone(store, session, why=f"its own TTL of {ttl:.12g} s has passed")
        for other, longer in family:
            if written_at + longer > context.now():
                await assert_live(context, store, other, until=written_at + longer)
    await assert_live(context, store, renewed, until=written_at + 500_000)


@clause_test("EX-10", waits=True, at_most=1, session=sessions())
async def test_names_that_look_alike_expire_each_in_their_own_time(context: TestContext, session: SessionData) -> None:
    brief, lasting, end = await _confusables(context, session)
    await _assert_tells_apart(context, await context.store(), brief, lasting, until=end)


@clause_test("EX-10")
def test_any_mixture_of_ttls_and_renewals_answers_as_the_model_does(context: TestContext) -> type[ExpiryMachine] | None:
    return ExpiryMachine if context.can(Capability.CLOCK) else None


@clause_test("EX-11", waits=True, at_most=8, session=sessions(), ttl=ttls())
async def test_expiry_survives_a_new_open(context: TestContext, session: SessionData, ttl: float) -> None:
    ttl = context.ttl(ttl)
    brief = session.model_copy(update={"session_id": f"brief {session.session_id}"})
    first = await context.open()
    written_at = context.now()
    await first.create_session(session, ttl)
    await first.create_session(brief, ttl / 4)
    await first.disconnect()
    await context.pass_time(ttl / 2)
    second = await context.open()
    await assert_live(context, second, session, until=written_at + ttl)
    await context.pass_time(ttl / 2 + ROUNDING)
    for each in session, brief:
        await assert_gone(second, each, why="its TTL has passed since it was created, part of it while closed")
