"""RS · row security: signed-in users reach their own rows only, on every path."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.assertions import assert_shows
from pytest_mcp_storage.oracle.generators import changes, sessions
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.row_security import (
    assert_finds_nothing,
    assert_keeps,
    assert_lists_exactly,
    assert_refused,
    intrusions,
    leave,
    owned,
    user_id,
    written,
)
from reference_backends import SessionData, StorageError, StorageUnavailableError

FOREIGN_IDS = ("alice{}", "auth0|{}", "{}@example.com", "google-oauth2|{}", "urn:user:{}", "0{}", "é 用户 {}")
"""User ids as other identity providers give them; one with a colon is a URI (RFC 7519, 2: StringOrURI)."""

ALIKE = (
    "Alice@example.com", "alice@Example.com", "alice@example.co", "alice@example.com2", "alice@example_com",
    "alice@example.com ", "a%", "*", "alice",
)  # fmt: skip
"""User ids that a wrong policy treats as alice@example.com."""

STORE_WIDE = "clear_all and cleanup_expired_sessions by users: the store may hold others' data"


@clause_test("RS-1", at_most=4, session=sessions(), named=changes(1))
async def test_nothing_is_done_without_a_signed_in_user(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    service = await _service(context)
    kept = owned(session, user_id(context, "alice"))
    new, planted = owned(session, kept.identity, " new"), owned(session, kept.identity, " planted")
    await service.create_session(kept)
    nobody = await outcome_of(context.open_as(None))
    if isinstance(nobody, RecordingBackend):
        await _assert_powerless(context, nobody, kept, new, named)
        await leave(nobody)
    elif isinstance(nobody, StorageUnavailableError) or not isinstance(nobody, StorageError):
        raise nobody
    await written(context, None, planted, planted.identity)
    await written(context, None, kept.model_copy(update={"server_url": "https://evil.example"}), kept.identity)
    await assert_shows(
        context, service, [kept], [new, planted], when="after calls without a signed-in user", should="be as before"
    )
    await leave(service)


@clause_test("RS-2", at_most=4, session=sessions(), theirs=sessions(), named=changes(1))
async def test_a_user_reads_updates_and_removes_their_own_rows_alone(
    context: TestContext, session: SessionData, theirs: SessionData, named: dict[str, Any]
) -> None:
    service = await _service(context)
    alice, bob = user_id(context, "alice"), user_id(context, "bob")
    mine, other, bobs = owned(session, alice), owned(session, alice, " other"), owned(theirs, bob, " bob's")
    await service.create_session(bobs)
    store = await context.open_as(alice)
    await _assert_owns(context, store, mine, other, named)
    mine = mine.model_copy(update=named)
    name = bob, bobs.session_id
    await assert_finds_nothing(store.get_session(*name), None, doing="reading another's session")
    await assert_finds_nothing(store.get_identity_sessions_data(bob), [], doing="listing another's sessions")
    await assert_finds_nothing(store.get_identity_mcp_sessions(bob), [], doing="listing another's session ids")
    if bobs.session_id in await store.get_all_session_ids():
        raise Violation("get_all_session_ids showed another's session", should="show the user's own ids only")
    await assert_refused(store.update_session(*name, named), doing="updating another's session")
    await assert_finds_nothing(store.remove_session(*name), None, doing="removing another's session")
    new = owned(theirs, bob, " new")
    await assert_refused(store.create_session(new), doing="creating a session for another")
    await assert_shows(context, service, [mine, bobs], [new], when="after all that", should="be as before")
    if context.store_is_ours:
        await assert_finds_nothing(store.cleanup_expired_sessions(), None, doing="cleaning up as a user")
        await assert_finds_nothing(store.clear_all(), None, doing="clearing all as a user")
        await assert_shows(
            context, service, [bobs], [], when="after a user cleared all", should="keep the others' sessions"
        )
    else:
        context.leave_out(STORE_WIDE)
    await leave(store)
    await leave(service)


@clause_test("RS-2", at_most=1, session=sessions(), named=changes(1))
async def test_a_user_whose_id_looks_alike_is_another(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    service = await _service(context)
    alices = owned(session, context.identity("alice@example.com"))
    name = alices.identity, alices.session_id
    await service.create_session(alices)
    for alike in ALIKE:
        store = await outcome_of(context.open_as(context.identity(alike)))
        if isinstance(store, StorageError) and not isinstance(store, StorageUnavailableError):
            continue  # a user of that id can't be
        if isinstance(store, Exception):
            raise store
        who = f"as the user {alike!r}"
        await assert_finds_nothing(store.get_session(*name), None, doing=f"reading another's session {who}")
        await assert_finds_nothing(store.get_identity_sessions_data(name[0]), [], doing=f"listing another's {who}")
        await assert_refused(store.update_session(*name, named), doing=f"updating another's session {who}")
        await assert_finds_nothing(store.remove_session(*name), None, doing=f"removing another's session {who}")
        await leave(store)
    await assert_shows(context, service, [alices], when="after all that", should="be as before")
    await leave(service)


@clause_test("RS-3", at_most=2, session=sessions(), theirs=sessions())
async def test_no_row_gets_under_anothers_identity(
    context: TestContext, session: SessionData, theirs: SessionData
) -> None:
    service = await _service(context)
    alice, bob = user_id(context, "alice"), user_id(context, "bob")
    alices, bobs = owned(session, alice), owned(theirs, bob, " bob's")
    await service.create_session(alices)
    await service.create_session(bobs)
    victim, owner = await context.open_as(bob), await context.open_as(alice)
    for intrusion in intrusions(alices, bobs):
        await written(context, alice, intrusion.session, intrusion.owner)
        for reader in (service, victim):
            await assert_lists_exactly(reader, bob, bobs, after=intrusion.doing)
        for reader in (service, owner):
            await assert_keeps(reader, alices, after=intrusion.doing)
    for handle in (victim, owner, service):
        await leave(handle)


@clause_test("RS-4", at_most=2, session=sessions(), theirs=sessions(), named=changes(1))
async def test_the_service_role_does_all_of_it(
    context: TestContext, session: SessionData, theirs: SessionData, named: dict[str, Any]
) -> None:
    service = await _service(context)
    alice, bob = user_id(context, "alice"), user_id(context, "bob")
    alices, bobs = owned(session, alice), owned(theirs, bob, " bob's")
    user = await context.open_as(alice)
    await user.create_session(alices)
    await service.create_session(bobs)
    await assert_shows(context, service, [alices, bobs], when="as the service role", should="show everybody's sessions")
    await service.update_session(alice, alices.session_id, named)
    await service.update_session(bob, bobs.session_id, named)
    alices, bobs = alices.model_copy(update=named), bobs.model_copy(update=named)
    await assert_shows(context, service, [alices, bobs], when="after updates by the service role", should="show them")
    await assert_keeps(user, alices, after="an update by the service role")
    await service.remove_session(alice, alices.session_id)
    await service.remove_session(bob, bobs.session_id)
    await assert_shows(
        context, service, [], [alices, bobs], when="after removals by the service role", should="show neither"
    )
    await leave(user)
    await leave(service)


@clause_test("RS-5", at_most=1, session=sessions(), named=changes(1))
async def test_user_ids_need_not_be_uuids(context: TestContext, session: SessionData, named: dict[str, Any]) -> None:
    service = await _service(context)
    stranger = owned(session, context.identity("somebody else"), " stranger")
    await service.create_session(stranger)
    for place, name in enumerate(FOREIGN_IDS):
        user = name.format(context.identity(""))
        mine, other = owned(session, user, f" {place}"), owned(session, user, f" {place} other")
        got = await outcome_of(_works_for(context, user, mine, other, named))
        if isinstance(got, (StorageError, Violation)):
            seen = got.seen if isinstance(got, Violation) else describe(got)
            raise Violation(f"for the user id {user!r}: {seen}", should="work: user ids need not be UUIDs")
        if isinstance(got, Exception):
            raise got
    await assert_keeps(service, stranger, after="others' calls")
    await leave(service)


async def _service(context: TestContext) -> RecordingBackend:
    """Return a handle of the service role, on the real time and without a key, as the users' handles are."""
    return await context.open(real_time=True, name="service")


async def _assert_powerless(
    context: TestContext, nobody: RecordingBackend, kept: SessionData, new: SessionData, named: dict[str, Any]
) -> None:
    name = kept.identity, kept.session_id
    whose = "without a signed-in user"
    await assert_finds_nothing(nobody.get_session(*name), None, doing=f"get_session {whose}")
    await assert_finds_nothing(nobody.get_identity_sessions_data(name[0]), [], doing=f"a listing {whose}")
    await assert_finds_nothing(nobody.get_identity_mcp_sessions(name[0]), [], doing=f"a listing of ids {whose}")
    await assert_finds_nothing(nobody.get_all_session_ids(), [], doing=f"get_all_session_ids {whose}")
    await assert_refused(nobody.create_session(new), doing=f"create_session {whose}")
    await assert_refused(nobody.update_session(*name, named), doing=f"update_session {whose}")
    await assert_finds_nothing(nobody.remove_session(*name), None, doing=f"remove_session {whose}")
    if context.store_is_ours:
        await assert_finds_nothing(nobody.cleanup_expired_sessions(), None, doing=f"cleanup_expired_sessions {whose}")
        await assert_finds_nothing(nobody.clear_all(), None, doing=f"clear_all {whose}")
    else:
        context.leave_out(STORE_WIDE)


async def _assert_owns(
    context: TestContext, store: RecordingBackend, mine: SessionData, other: SessionData, named: dict[str, Any]
) -> None:
    """Create, read, update and remove as the user of this handle. ``mine`` stays, as ``named`` changes it."""
    should = "read, update and remove their sessions"
    await store.create_session(mine)
    await store.create_session(other)
    await assert_shows(context, store, [mine, other], when="to their user", should=should)
    await store.update_session(mine.identity, mine.session_id, named)
    await store.remove_session(other.identity, other.session_id)
    seen = await store.get_session(mine.identity, mine.session_id)
    if found := difference(seen, mine.model_copy(update=named)):
        raise Violation(f"after a user's own update get_session returned {found}", should=should)
    await assert_shows(context, store, [], [other], when="after a user's own removal", should=should)


async def _works_for(
    context: TestContext, user: str, mine: SessionData, other: SessionData, named: dict[str, Any]
) -> None:
    store = await context.open_as(user)
    await _assert_owns(context, store, mine, other, named)
    await leave(store)
