"""RS · row security: signed-in users keep to their own rows, whatever way they take."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.measuring.comparison import difference
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation, outcome_of, told
from pytest_mcp_storage.measuring.witness import Witness
from pytest_mcp_storage.oracle.strategies import changes, sessions
from pytest_mcp_storage.oracle.views import must_show
from pytest_mcp_storage.ordeals.row_security import (
    intrusions,
    leave,
    must_be_refused,
    must_find_nothing,
    must_keep,
    must_list_exactly,
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
"""Of whom a careless policy takes each for alice@example.com."""

STORE_WIDE = "clear_all and cleanup_expired_sessions by users: the store may hold others' data"


@measures("RS-1", at_most=4, session=sessions(), named=changes(1))
async def test_nothing_is_done_without_a_signed_in_user(
    trial: Trial, session: SessionData, named: dict[str, Any]
) -> None:
    service = await _service(trial)
    kept = owned(session, user_id(trial, "alice"))
    new, planted = owned(session, kept.identity, " new"), owned(session, kept.identity, " planted")
    await service.create_session(kept)
    nobody = await outcome_of(trial.open_as(None))
    if isinstance(nobody, Witness):
        await _must_be_powerless(trial, nobody, kept, new, named)
        await leave(nobody)
    elif isinstance(nobody, StorageUnavailableError) or not isinstance(nobody, StorageError):
        raise nobody
    await written(trial, None, planted, planted.identity)
    await written(trial, None, kept.model_copy(update={"server_url": "https://evil.example"}), kept.identity)
    await must_show(
        trial, service, [kept], [new, planted], when="after calls without a signed-in user", should="be as before"
    )
    await leave(service)


@measures("RS-2", at_most=4, session=sessions(), theirs=sessions(), named=changes(1))
async def test_a_user_reads_updates_and_removes_their_own_rows_alone(
    trial: Trial, session: SessionData, theirs: SessionData, named: dict[str, Any]
) -> None:
    service = await _service(trial)
    alice, bob = user_id(trial, "alice"), user_id(trial, "bob")
    mine, other, bobs = owned(session, alice), owned(session, alice, " other"), owned(theirs, bob, " bob's")
    await service.create_session(bobs)
    store = await trial.open_as(alice)
    await _must_own(trial, store, mine, other, named)
    mine = mine.model_copy(update=named)
    name = bob, bobs.session_id
    await must_find_nothing(store.get_session(*name), None, doing="reading another's session")
    await must_find_nothing(store.get_identity_sessions_data(bob), [], doing="listing another's sessions")
    await must_find_nothing(store.get_identity_mcp_sessions(bob), [], doing="listing another's session ids")
    if bobs.session_id in await store.get_all_session_ids():
        raise Violation("get_all_session_ids showed another's session", should="show one's own alone")
    await must_be_refused(store.update_session(*name, named), doing="updating another's session")
    await must_find_nothing(store.remove_session(*name), None, doing="removing another's session")
    new = owned(theirs, bob, " new")
    await must_be_refused(store.create_session(new), doing="creating a session for another")
    await must_show(trial, service, [mine, bobs], [new], when="after all that", should="be as before")
    if trial.store_is_ours:
        await must_find_nothing(store.cleanup_expired_sessions(), None, doing="cleaning up as a user")
        await must_find_nothing(store.clear_all(), None, doing="clearing all as a user")
        await must_show(trial, service, [bobs], [], when="after a user cleared all", should="keep the others' sessions")
    else:
        trial.leave_out(STORE_WIDE)
    await leave(store)
    await leave(service)


@measures("RS-2", at_most=1, session=sessions(), named=changes(1))
async def test_a_user_whose_id_looks_alike_is_another(
    trial: Trial, session: SessionData, named: dict[str, Any]
) -> None:
    service = await _service(trial)
    alices = owned(session, trial.identity("alice@example.com"))
    name = alices.identity, alices.session_id
    await service.create_session(alices)
    for alike in ALIKE:
        store = await outcome_of(trial.open_as(trial.identity(alike)))
        if isinstance(store, StorageError) and not isinstance(store, StorageUnavailableError):
            continue  # a user of that id can't be
        if isinstance(store, Exception):
            raise store
        who = f"as the user {alike!r}"
        await must_find_nothing(store.get_session(*name), None, doing=f"reading another's session {who}")
        await must_find_nothing(store.get_identity_sessions_data(name[0]), [], doing=f"listing another's {who}")
        await must_be_refused(store.update_session(*name, named), doing=f"updating another's session {who}")
        await must_find_nothing(store.remove_session(*name), None, doing=f"removing another's session {who}")
        await leave(store)
    await must_show(trial, service, [alices], when="after all that", should="be as before")
    await leave(service)


@measures("RS-3", at_most=2, session=sessions(), theirs=sessions())
async def test_no_row_gets_under_anothers_identity(trial: Trial, session: SessionData, theirs: SessionData) -> None:
    service = await _service(trial)
    alice, bob = user_id(trial, "alice"), user_id(trial, "bob")
    alices, bobs = owned(session, alice), owned(theirs, bob, " bob's")
    await service.create_session(alices)
    await service.create_session(bobs)
    victim, owner = await trial.open_as(bob), await trial.open_as(alice)
    for intrusion in intrusions(alices, bobs):
        await written(trial, alice, intrusion.session, intrusion.owner)
        for reader in (service, victim):
            await must_list_exactly(reader, bob, bobs, after=intrusion.doing)
        for reader in (service, owner):
            await must_keep(reader, alices, after=intrusion.doing)
    for handle in (victim, owner, service):
        await leave(handle)


@measures("RS-4", at_most=2, session=sessions(), theirs=sessions(), named=changes(1))
async def test_the_service_role_does_all_of_it(
    trial: Trial, session: SessionData, theirs: SessionData, named: dict[str, Any]
) -> None:
    service = await _service(trial)
    alice, bob = user_id(trial, "alice"), user_id(trial, "bob")
    alices, bobs = owned(session, alice), owned(theirs, bob, " bob's")
    user = await trial.open_as(alice)
    await user.create_session(alices)
    await service.create_session(bobs)
    await must_show(trial, service, [alices, bobs], when="as the service role", should="show everybody's sessions")
    await service.update_session(alice, alices.session_id, named)
    await service.update_session(bob, bobs.session_id, named)
    alices, bobs = alices.model_copy(update=named), bobs.model_copy(update=named)
    await must_show(trial, service, [alices, bobs], when="after updates by the service role", should="show them")
    await must_keep(user, alices, after="an update by the service role")
    await service.remove_session(alice, alices.session_id)
    await service.remove_session(bob, bobs.session_id)
    await must_show(
        trial, service, [], [alices, bobs], when="after removals by the service role", should="show neither"
    )
    await leave(user)
    await leave(service)


@measures("RS-5", at_most=1, session=sessions(), named=changes(1))
async def test_user_ids_need_not_be_uuids(trial: Trial, session: SessionData, named: dict[str, Any]) -> None:
    service = await _service(trial)
    stranger = owned(session, trial.identity("somebody else"), " stranger")
    await service.create_session(stranger)
    for place, name in enumerate(FOREIGN_IDS):
        user = name.format(trial.identity(""))
        mine, other = owned(session, user, f" {place}"), owned(session, user, f" {place} other")
        got = await outcome_of(_works_for(trial, user, mine, other, named))
        if isinstance(got, (StorageError, Violation)):
            seen = got.seen if isinstance(got, Violation) else told(got)
            raise Violation(f"for the user id {user!r}: {seen}", should="work: user ids need not be UUIDs")
        if isinstance(got, Exception):
            raise got
    await must_keep(service, stranger, after="others' calls")
    await leave(service)


async def _service(trial: Trial) -> Witness:
    """As the service role, on the real time, which is that of users' handles; without a key, which they have not."""
    return await trial.open(real_time=True, name="service")


async def _must_be_powerless(
    trial: Trial, nobody: Witness, kept: SessionData, new: SessionData, named: dict[str, Any]
) -> None:
    name = kept.identity, kept.session_id
    whose = "without a signed-in user"
    await must_find_nothing(nobody.get_session(*name), None, doing=f"get_session {whose}")
    await must_find_nothing(nobody.get_identity_sessions_data(name[0]), [], doing=f"a listing {whose}")
    await must_find_nothing(nobody.get_identity_mcp_sessions(name[0]), [], doing=f"a listing of ids {whose}")
    await must_find_nothing(nobody.get_all_session_ids(), [], doing=f"get_all_session_ids {whose}")
    await must_be_refused(nobody.create_session(new), doing=f"create_session {whose}")
    await must_be_refused(nobody.update_session(*name, named), doing=f"update_session {whose}")
    await must_find_nothing(nobody.remove_session(*name), None, doing=f"remove_session {whose}")
    if trial.store_is_ours:
        await must_find_nothing(nobody.cleanup_expired_sessions(), None, doing=f"cleanup_expired_sessions {whose}")
        await must_find_nothing(nobody.clear_all(), None, doing=f"clear_all {whose}")
    else:
        trial.leave_out(STORE_WIDE)


async def _must_own(trial: Trial, store: Witness, mine: SessionData, other: SessionData, named: dict[str, Any]) -> None:
    """Create, read, update and remove as the user whose handle this is. ``mine`` stays, as ``named`` changes it."""
    should = "have full use of their own sessions"
    await store.create_session(mine)
    await store.create_session(other)
    await must_show(trial, store, [mine, other], when="to their user", should=should)
    await store.update_session(mine.identity, mine.session_id, named)
    await store.remove_session(other.identity, other.session_id)
    seen = await store.get_session(mine.identity, mine.session_id)
    if found := difference(seen, mine.model_copy(update=named)):
        raise Violation(f"after a user's own update get_session returned {found}", should=should)
    await must_show(trial, store, [], [other], when="after a user's own removal", should=should)


async def _works_for(trial: Trial, user: str, mine: SessionData, other: SessionData, named: dict[str, Any]) -> None:
    store = await trial.open_as(user)
    await _must_own(trial, store, mine, other, named)
    await leave(store)
