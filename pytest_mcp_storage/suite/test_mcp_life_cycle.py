"""LC · life cycle: created once, changed as named, removed for good, refused without a trace."""

from __future__ import annotations

import re
from collections import Counter
from math import log2
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.measuring.comparison import difference
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation, must_raise, outcome_of, told
from pytest_mcp_storage.oracle.bulk import create_many
from pytest_mcp_storage.oracle.limits import LONGEST_NAME
from pytest_mcp_storage.oracle.machine import LifeCycleMachine
from pytest_mcp_storage.oracle.strategies import OPTIONAL_FIELDS, REQUIRED_FIELDS, changes, families, sessions
from reference_backends import (
    InvalidSessionError,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    StorageError,
)

SECRETS = {field: OPTIONAL_FIELDS[field] for field in ("tokens", "headers", "client_information", "code_verifier")}
LEAST_LENGTH = 12
LEAST_BITS = 70


@measures("LC-1", first=sessions(), second=sessions())
async def test_a_live_session_cannot_be_created_again(trial: Trial, first: SessionData, second: SessionData) -> None:
    store = await trial.store()
    await store.create_session(first)
    again = second.model_copy(update={"identity": first.identity, "session_id": first.session_id})
    await must_raise(SessionExistsError, store.create_session(again), doing="creating a live session again")
    seen = await store.get_session(first.identity, first.session_id)
    if found := difference(seen, first):
        raise Violation(f"after the refused create get_session returned {found}", should="return the first session")


@measures("LC-2", session=sessions())
async def test_what_was_never_created_is_not_there(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    seen = await store.get_session(session.identity, session.session_id)
    if seen is not None:
        raise Violation(f"get_session returned {seen!r}", should="return None: it was never created")
    ids = await store.get_identity_mcp_sessions(session.identity)
    data = await store.get_identity_sessions_data(session.identity)
    if ids != [] or data != []:
        raise Violation(f"the listings of an unknown identity returned {ids!r} and {data!r}", should="be empty lists")


@measures("LC-3", session=sessions(), named=changes())
async def test_an_update_changes_the_named_fields_alone(
    trial: Trial, session: SessionData, named: dict[str, Any]
) -> None:
    store = await trial.store()
    await store.create_session(session)
    await store.update_session(session.identity, session.session_id, named)
    expected = session.model_copy(update=named)
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, expected):
        raise Violation(f"after the update get_session returned {found}", should="change what was named, and no more")


@measures("LC-3", session=sessions())
async def test_an_update_replaces_objects(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    old, new = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}}
    await store.create_session(session.model_copy(update={"tokens": old, "client_information": old}))
    await store.update_session(session.identity, session.session_id, {"tokens": new, "client_information": {}})
    expected = session.model_copy(update={"tokens": new, "client_information": {}})
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, expected):
        raise Violation(f"after the update get_session returned {found}", should="replace objects, not merge them")


@measures("LC-3")
def test_any_sequence_of_calls_answers_as_the_model_does(trial: Trial) -> type[LifeCycleMachine]:
    return LifeCycleMachine


@measures("LC-4", session=sessions(fixed=OPTIONAL_FIELDS), field=st.sampled_from(sorted(OPTIONAL_FIELDS)))
async def test_an_optional_field_updated_to_none_is_gone(trial: Trial, session: SessionData, field: str) -> None:
    store = await trial.store()
    await store.create_session(session)
    await store.update_session(session.identity, session.session_id, {field: None})
    expected = session.model_copy(update={field: None})
    for seen in (
        await store.get_session(session.identity, session.session_id),
        *await store.get_identity_sessions_data(session.identity),
    ):
        if found := difference(seen, expected):
            raise Violation(f"after {field} was updated to None a read returned {found}", should="have it gone")


@measures("LC-4", session=sessions(fixed=SECRETS), field=st.sampled_from(sorted(SECRETS)))
async def test_what_was_revoked_cannot_be_read_again(trial: Trial, session: SessionData, field: str) -> None:
    """Looks at the revoked field alone, so that no other loss of the store's comes before this one."""
    store = await trial.store()
    await store.create_session(session)
    await store.update_session(session.identity, session.session_id, {field: None})
    for seen in (
        await store.get_session(session.identity, session.session_id),
        *await store.get_identity_sessions_data(session.identity),
    ):
        if seen and getattr(seen, field) is not None:
            raise Violation(f"a read returned {field} after it was revoked by an update to None", should="have it gone")


@measures("LC-4", session=sessions(), field=st.sampled_from(sorted(REQUIRED_FIELDS)))
async def test_a_required_field_cannot_be_updated_to_none(trial: Trial, session: SessionData, field: str) -> None:
    store = await trial.store()
    await store.create_session(session)
    update = store.update_session(session.identity, session.session_id, {field: None})
    await must_raise(InvalidSessionError, update, doing=f"updating {field} to None")


@measures("LC-5", session=sessions(), named=changes())
async def test_only_an_own_live_session_can_be_updated(
    trial: Trial, session: SessionData, named: dict[str, Any]
) -> None:
    store = await trial.store()
    stranger = trial.identity("stranger")
    update = store.update_session(session.identity, session.session_id, named)
    await must_raise(SessionNotFoundError, update, doing="updating a session that is missing")
    if (created := await store.get_session(session.identity, session.session_id)) is not None:
        raise Violation(f"the refused update left {created!r}", should="create nothing")
    await store.create_session(session)
    update = store.update_session(stranger, session.session_id, named)
    await must_raise(SessionNotFoundError, update, doing="updating another identity's session")
    if left := await store.get_identity_mcp_sessions(stranger):
        raise Violation(f"the refused update left {left} with the stranger", should="create nothing")
    if found := difference(await store.get_session(session.identity, session.session_id), session):
        raise Violation(f"after a stranger's update get_session returned {found}", should="return it unchanged")


@measures("LC-6", session=sessions(), named=changes())
async def test_identity_and_session_id_never_change(trial: Trial, session: SessionData, named: dict[str, Any]) -> None:
    store = await trial.store()
    await store.create_session(session)
    for field, value in (
        ("identity", trial.identity("thief")),
        ("session_id", trial.session_id("other")),
        ("identity", session.identity),
        ("session_id", session.session_id),
        ("no_such_field", "value"),
    ):
        update = store.update_session(session.identity, session.session_id, {**named, field: value})
        await must_raise(InvalidSessionError, update, doing=f"an update that names {field}")
    for identity in (trial.identity("thief"), session.identity):
        expected = [session.session_id] if identity == session.identity else []
        if (ids := await store.get_identity_mcp_sessions(identity)) != expected:
            raise Violation(f"after refused updates the listing is {ids}", should=f"be {expected}")


@measures("LC-7", session=sessions(), named=changes(1))
async def test_a_refused_call_changes_nothing(trial: Trial, session: SessionData, named: dict[str, Any]) -> None:
    store = await trial.store()
    refused = await outcome_of(store.create_session(session, ttl=-1))
    if isinstance(refused, Exception) and await store.get_session(session.identity, session.session_id) is not None:
        raise Violation("a create that was refused stored the session", should="store nothing")
    await store.remove_session(session.identity, session.session_id)
    await store.create_session(session)
    name = session.identity, session.session_id
    other = session.model_copy(update={"server_url": "other", "tokens": None})
    for what, method, arguments in (
        ("an unknown field", store.update_session, (*name, {**named, "nope": 1})),
        ("a bad value", store.update_session, (*name, {**named, "created_at": -1})),
        ("a bad ttl", store.update_session, (*name, named, -1)),
        ("a live id", store.create_session, (other,)),
    ):
        if not isinstance(await outcome_of(method(*arguments)), Exception):
            raise Violation(f"a call with {what} was taken", should="be refused")
        if found := difference(await store.get_session(*name), session):
            raise Violation(f"after a call with {what} get_session returned {found}", should="change nothing")


@measures("LC-8", family=families(2), sealed=st.booleans())
async def test_a_removed_session_is_found_by_no_read(trial: Trial, family: list[SessionData], sealed: bool) -> None:
    store = await trial.store(sealed=sealed)
    for session in family:
        await store.create_session(session)
    gone, *kept = family
    await store.remove_session(trial.identity("stranger"), gone.session_id)
    if await store.get_session(gone.identity, gone.session_id) is None:
        raise Violation("a removal under another identity removed the session", should="leave it")
    for _ in range(2):
        await store.remove_session(gone.identity, gone.session_id)
        if await store.get_session(gone.identity, gone.session_id) is not None:
            raise Violation("get_session found a removed session", should="return None")
        ids = await store.get_identity_mcp_sessions(gone.identity)
        data = await store.get_identity_sessions_data(gone.identity)
        if gone.session_id in [*ids, *(each.session_id for each in data)]:
            raise Violation("a listing shows a removed session", should="leave it out")
    for session in kept:
        if found := difference(await store.get_session(session.identity, session.session_id), session):
            raise Violation(f"after another's removal get_session returned {found}", should="return it unchanged")


@measures("LC-9", session=sessions())
async def test_an_empty_name_is_refused(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    await store.create_session(session)
    identity, session_id = session.identity, session.session_id
    for method, *arguments in (
        (store.get_session, "", session_id),
        (store.get_session, identity, ""),
        (store.update_session, "", session_id, {"server_name": "n"}),
        (store.update_session, identity, "", {"server_name": "n"}),
        (store.remove_session, "", session_id),
        (store.remove_session, identity, ""),
        (store.get_identity_sessions_data, ""),
        (store.get_identity_mcp_sessions, ""),
    ):
        await must_raise(InvalidSessionError, method(*arguments), doing=f"{method.__name__} with an empty name")
    if found := difference(await store.get_session(session.identity, session.session_id), session):
        raise Violation(f"after calls with empty names get_session returned {found}", should="return it unchanged")


@measures("LC-9", session=sessions())
async def test_a_name_that_no_session_can_have_finds_nothing(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    # Filled up on the side that is not the example's mark.
    identity, session_id = f"{session.identity:x<{LONGEST_NAME}}", f"{session.session_id:x>{LONGEST_NAME}}"
    session = session.model_copy(update={"identity": identity, "session_id": session_id})
    await store.create_session(session)
    for spoilt in ("x", "\0", "\ud800"):
        identity, session_id = session.identity + spoilt, session.session_id + spoilt
        for method, unknown, *arguments in (
            (store.get_session, None, identity, session.session_id),
            (store.get_session, None, session.identity, session_id),
            (store.remove_session, None, identity, session.session_id),
            (store.remove_session, None, session.identity, session_id),
            (store.get_identity_mcp_sessions, [], identity),
            (store.get_identity_sessions_data, [], identity),
            (store.update_session, SessionNotFoundError, session.identity, session_id, {}),
        ):
            got = await outcome_of(method(*arguments))
            if not isinstance(got, (InvalidSessionError, SessionNotFoundError)) and got != unknown:
                doing = f"{method.__name__} with a name of {LONGEST_NAME} characters and {spoilt!r}"
                raise Violation(f"{doing} {told(got)}", should="refuse it, or find nothing")
    if found := difference(await store.get_session(session.identity, session.session_id), session):
        raise Violation(f"after calls with impossible names get_session returned {found}", should="return it unchanged")


@measures("LC-10", at_most=1, session=sessions())
async def test_clear_all_leaves_nothing(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    many = await create_many(trial, store, session, trial.tier.clearing, least=10_000)
    await store.clear_all()
    for each in (many[0], many[-1]):
        if await store.get_session(each.identity, each.session_id) is not None:
            raise Violation(f"get_session finds one of {len(many)} cleared sessions", should="return None")
    left = await store.get_identity_mcp_sessions(session.identity)
    data = await store.get_identity_sessions_data(session.identity)
    everywhere = await store.get_all_session_ids()
    if left or data or everywhere:
        counts = f"{len(left)}, {len(data)} and {len(everywhere)}"
        raise Violation(f"after clear_all of {len(many)} the listings hold {counts} sessions", should="be empty")
    await store.create_session(many[0])
    if (ids := await store.get_identity_mcp_sessions(session.identity)) != [many[0].session_id]:
        raise Violation(f"a session created after clear_all is listed as {ids[:5]}", should="stand there alone")


@measures("LC-11", session=sessions())
async def test_init_and_disconnect_may_be_repeated(trial: Trial, session: SessionData) -> None:
    store = await trial.open()
    await store.init()
    await store.create_session(session)
    await store.init()
    if found := difference(await store.get_session(session.identity, session.session_id), session):
        raise Violation(f"after a second init get_session returned {found}", should="return the session")
    await store.disconnect()
    await store.disconnect()
    await store.init()
    if trial.can(Capability.DURABLE):
        if found := difference(await store.get_session(session.identity, session.session_id), session):
            raise Violation(f"after disconnect and init get_session returned {found}", should="return the session")
        await store.remove_session(session.identity, session.session_id)
    await outcome_of(store.remove_session(session.identity, session.session_id))
    await store.create_session(session)
    if found := difference(await store.get_session(session.identity, session.session_id), session):
        raise Violation(f"a handle that was opened again returned {found}", should="work as before")


@measures("LC-12", at_most=1, session=sessions())
async def test_a_closed_store_does_not_answer(trial: Trial, session: SessionData) -> None:
    store = await trial.open()
    await store.create_session(session)
    await store.disconnect()
    name = session.identity, session.session_id
    for method, *arguments in (
        (store.get_session, *name),
        (store.get_identity_sessions_data, session.identity),
        (store.get_identity_mcp_sessions, session.identity),
        (store.get_all_session_ids,),
        (store.update_session, *name, {}),
        (store.remove_session, *name),
        (store.create_session, session),
    ):
        await must_raise(StorageError, method(*arguments), doing=f"{method.__name__} after disconnect")


@measures("LC-13")
async def test_session_ids_are_unguessable(trial: Trial) -> None:
    store = await trial.store()
    ids = [store.generate_session_id() for _ in range(trial.tier.ids)]
    for each in ids:
        if not re.fullmatch(rf"[A-Za-z][A-Za-z0-9]{{{LEAST_LENGTH - 1},}}", each):
            raise Violation(
                f"generate_session_id returned {each!r}", should="be a letter, then letters and digits, ≥ 12"
            )
    if len(set(ids)) < len(ids):
        raise Violation(f"{len(ids) - len(set(ids))} of {len(ids)} ids stand twice", should="never repeat")
    bits = sum(_entropy([each[place] for each in ids]) for place in range(min(map(len, ids))))
    if bits < LEAST_BITS:
        raise Violation(
            f"{len(ids)} ids show {bits:.1f} bits, position by position", should=f"have {LEAST_BITS} at least"
        )


def _entropy(symbols: list[str]) -> float:
    """The Shannon entropy of a sample, in bits, corrected for its size (Miller and Madow, 1955)."""
    counts = Counter(symbols).values()
    total = len(symbols)
    plain = -sum(count / total * log2(count / total) for count in counts)
    return plain + (len(counts) - 1) / (2 * total)
