"""LC · life cycle: created once, changed as named, removed for good; a refused call changes nothing."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import product
from typing import Any

from pytest_mcp_storage.engine.at_rest import stored
from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation, assert_raises, outcome_of
from pytest_mcp_storage.oracle.assertions import assert_absent, assert_gone, assert_shows
from pytest_mcp_storage.oracle.bulk_create import create_many
from pytest_mcp_storage.oracle.edge_cases import EDGE_CASE_NAMES, EMPTY, FILLED
from pytest_mcp_storage.oracle.generators import ABSENT, OPTIONAL_FIELDS, REQUIRED_FIELDS, changes, families, sessions
from pytest_mcp_storage.oracle.machine import LifeCycleMachine
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.workloads.other_key import sessions_of_another_key
from reference_backends import InvalidSessionError, SessionData, SessionExistsError, SessionNotFoundError, StorageError

COLUMNS = ("id", "_id", "key", "user_id", "expires_at", "expiresAt", "ttl", "updated_at")
"""Columns that stores have in addition to a session's fields."""


@clause_test("LC-1", first=sessions(), second=sessions())
async def test_a_live_session_cannot_be_created_again(
    context: TestContext, first: SessionData, second: SessionData
) -> None:
    store = await context.store()
    await store.create_session(first, 600)
    again = second.model_copy(update={"identity": first.identity, "session_id": first.session_id})
    await assert_raises(SessionExistsError, store.create_session(again, 3600), doing="creating a live session again")
    await assert_shows(context, store, [first], when="after the refused create", should="leave the first as it was")
    if context.can(Capability.CLOCK):
        await context.pass_time(600 + ROUNDING)
        await assert_gone(store, first, why="its TTL of 600 s has passed, and the refused create renews nothing")


@clause_test("LC-1", waits=True, at_most=1, session=sessions())
async def test_a_renewed_session_cannot_be_created_again(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    ttl = context.ttl(60) + 2
    await store.create_session(session, ttl)
    await store.update_session(session.identity, session.session_id, {}, 3600)
    await context.pass_time(ttl + ROUNDING)
    await assert_raises(SessionExistsError, store.create_session(session), doing="creating a renewed session again")
    await assert_shows(context, store, [session], when="after the refused create", should="leave it as it was")


@clause_test("LC-1", at_most=2, session=sessions())
async def test_a_session_of_another_key_cannot_be_created_again(context: TestContext, session: SessionData) -> None:
    for each in await sessions_of_another_key(context, session):
        again = (await context.store()).create_session(each)
        await assert_raises(SessionExistsError, again, doing="creating a live session, sealed with another key, again")
        owner = await context.holder(context.other_key)
        await assert_shows(context, owner, [each], when="after the refused create", should="leave it as it was")


@clause_test("LC-2", session=sessions())
async def test_what_was_never_created_is_not_there(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    seen = await store.get_session(session.identity, session.session_id)
    if seen is not None:
        raise Violation(f"get_session returned {seen!r}", should="return None: it was never created")
    ids = await store.get_identity_mcp_sessions(session.identity)
    data = await store.get_identity_sessions_data(session.identity)
    if ids != [] or data != []:
        raise Violation(f"the listings of an unknown identity returned {ids!r} and {data!r}", should="be empty lists")


@clause_test("LC-3", session=sessions(), named=changes())
async def test_an_update_changes_the_named_fields_alone(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    store = await context.store()
    await store.create_session(session)
    await store.get_session(session.identity, session.session_id)  # a cache has that one now
    await store.update_session(session.identity, session.session_id, deepcopy(named))  # the store may alter the copy
    expected = session.model_copy(update=named)
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, expected):
        raise Violation(f"after the update get_session returned {found}", should="change what was named, and no more")


@clause_test("LC-3", at_most=1, session=sessions())
async def test_each_field_can_be_updated_alone(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    expected = session.model_copy(update=ABSENT)
    await store.create_session(expected)
    for ttl, field, values in product((None, 600), [*FILLED, None], (FILLED, EMPTY, ABSENT, FILLED)):
        named = {field: values[field]} if field else {}
        await store.update_session(session.identity, session.session_id, deepcopy(named), ttl)
        expected = expected.model_copy(update=named)
        seen = await store.get_session(session.identity, session.session_id)
        if found := difference(seen, expected):
            raise Violation(f"after the update get_session returned {found}", should="change what was named alone")


@clause_test("LC-3", at_most=2, session=sessions())
async def test_an_update_replaces_objects(context: TestContext, session: SessionData) -> None:
    old = {"a": {"b": 1, "c": 2}, "d": 3, "e": [{"f": 4}, 5]}
    replacements: tuple[dict[str, Any], ...] = {"a": {"b": 4}, "e": [6]}, {"e": [{}]}, {}
    for sealed, field, ttl in product((True, False), ("tokens", "client_information"), (None, 600)):
        store = await context.store(sealed=sealed)
        name = f"{sealed} {field} {ttl} {session.session_id}"
        named = {"session_id": name, field: old, "headers": {"a": "1", "b": "2"}}
        expected = session.model_copy(update=named)
        await store.create_session(expected)
        for new in replacements:
            named = {field: new, "headers": dict.fromkeys(new, "3")}
            await store.update_session(expected.identity, expected.session_id, deepcopy(named), ttl)
            expected = expected.model_copy(update=named)
            seen = await store.get_session(expected.identity, expected.session_id)
            if found := difference(seen, expected):
                raise Violation(f"after the update get_session returned {found}", should="replace objects, not merge")


@clause_test("LC-3")
def test_any_sequence_of_calls_answers_as_the_model_does(context: TestContext) -> type[LifeCycleMachine]:
    return LifeCycleMachine


@clause_test("LC-4", at_most=4, session=sessions(), sealed=every(False, True), ttl=every(None, 600))
async def test_an_optional_field_updated_to_none_is_gone(
    context: TestContext, session: SessionData, sealed: bool, ttl: float | None
) -> None:
    store = await context.store(sealed=sealed)
    name = session.identity, session.session_id
    expected = session.model_copy(update=FILLED)
    await store.create_session(expected)
    for field in OPTIONAL_FIELDS:
        await store.get_session(*name)  # a cache has these now
        await store.get_identity_sessions_data(session.identity)
        await store.update_session(*name, {field: None}, ttl)
        expected = expected.model_copy(update={field: None})
        await assert_shows(context, store, [expected], when=f"after {field} was updated to None", should="have it gone")


@clause_test("LC-4", at_most=4, session=sessions())
async def test_a_required_field_cannot_be_updated_to_none(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    await store.create_session(session)
    for field, named in product(REQUIRED_FIELDS, ({}, {"server_name": "changed"})):
        update = store.update_session(session.identity, session.session_id, {**named, field: None})
        await assert_raises(InvalidSessionError, update, doing=f"updating {field} to None")
    await assert_shows(context, store, [session], when="after refused updates", should="leave the session as it was")


@clause_test("LC-4", at_most=4, session=sessions())
async def test_what_was_revoked_cannot_be_read_again(context: TestContext, session: SessionData) -> None:
    """Judge the revoked field only, so that no other loss of the store is reported first."""
    store, name = await context.store(), (session.identity, session.session_id)
    await store.create_session(session.model_copy(update=FILLED))
    for field in ("tokens", "headers", "client_information", "code_verifier"):
        await store.update_session(*name, {field: None})
        for seen in (await store.get_session(*name), *await store.get_identity_sessions_data(session.identity)):
            if seen and getattr(seen, field) is not None:
                raise Violation(f"a read returned {field}, revoked by an update to None", should="have it gone")


@clause_test("LC-5", at_most=10, session=sessions(), own=sessions(), named=changes())
async def test_only_an_own_live_session_can_be_updated(
    context: TestContext, session: SessionData, own: SessionData, named: dict[str, Any]
) -> None:
    store = await context.store()
    stranger = context.identity("stranger")
    own = own.model_copy(update={"identity": stranger, "session_id": context.session_id("the stranger's own")})
    as_theirs = session.model_copy(update={"identity": stranger})
    name = session.identity, session.session_id

    async def assert_refused(who: str, what: str) -> None:
        for ttl in (None, 60):
            update = store.update_session(who, session.session_id, named, ttl)
            await assert_raises(SessionNotFoundError, update, doing=f"updating {what}")

    await assert_refused(session.identity, "a session that is missing")
    await assert_shows(context, store, gone=[session], when="after the refused update", should="create nothing")
    await store.create_session(own)
    await store.create_session(session)
    await assert_refused(stranger, "another identity's session")
    await assert_absent(store, as_theirs, why="an update that is refused creates nothing")
    await assert_shows(
        context, store, [session, own], when="after a stranger's update", should="leave both as they were"
    )
    await store.remove_session(*name)
    await assert_refused(session.identity, "a session that was removed")
    await assert_shows(context, store, [own], [session], when="after the refused update", should="create nothing")


@clause_test("LC-6", at_most=10, session=sessions(), named=changes())
async def test_identity_and_session_id_never_change(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    store = await context.store()
    await store.create_session(session)
    moved = session.model_copy(
        update={"identity": context.identity("thief"), "session_id": context.session_id("other")}
    )
    for field, value in (
        ("identity", moved.identity),
        ("session_id", moved.session_id),
        ("identity", session.identity),
        ("session_id", session.session_id),
        ("identity", None),
        ("session_id", None),
        ("sessionId", moved.session_id),
        ("no_such_field", "value"),
        ("no_such_field", None),
        *product(COLUMNS, (1, None)),
    ):
        for others in ({}, named):
            update = store.update_session(session.identity, session.session_id, {**others, field: value})
            await assert_raises(InvalidSessionError, update, doing=f"an update that names {field}")
    await assert_shows(
        context, store, [session], [moved], when="after refused updates", should="leave the session there"
    )


@clause_test("LC-7", at_most=10, session=sessions(), named=changes(1))
async def test_a_refused_call_changes_nothing(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    store = await context.store()
    refused = await outcome_of(store.create_session(session, ttl=-1))
    if isinstance(refused, Exception):
        await assert_shows(context, store, gone=[session], when="after a refused create", should="store nothing")
    await store.remove_session(session.identity, session.session_id)
    await store.create_session(session, 600)
    name = session.identity, session.session_id
    named = {"server_name": "changed", **named}
    other = session.model_copy(update={"server_url": "other", "tokens": None})
    for what, method, arguments in (
        ("an unknown field", store.update_session, (*name, {**named, "nope": 1}, 3600)),
        ("another identity", store.update_session, (*name, {**named, "identity": context.identity("thief")}, 3600)),
        ("a stranger's identity", store.update_session, (context.identity("thief"), name[1], named, 3600)),
        ("a bad value", store.update_session, (*name, {**named, "created_at": -1}, 3600)),
        ("tokens with NaN", store.update_session, (*name, {**named, "tokens": {"n": math.nan}}, 3600)),
        ("a header that is a list", store.update_session, (*name, {**named, "headers": {"h": ["v"]}}, 3600)),
        ("None for a required field", store.update_session, (*name, {**named, "callback_url": None}, 3600)),
        ("a bad ttl", store.update_session, (*name, named, -1)),
        ("a bad ttl and no field", store.update_session, (*name, {}, -1)),
        ("a live id", store.create_session, (other, 3600)),
        ("a live id and a bad ttl", store.create_session, (other, -1)),
    ):
        if not isinstance(await outcome_of(method(*arguments)), Exception):
            raise Violation(f"a call with {what} was taken", should="be refused")
        await assert_shows(context, store, [session], when=f"after a call with {what}", should="change nothing")
    if context.can(Capability.CLOCK):
        await context.pass_time(600 + ROUNDING)
        await assert_gone(store, session, why="its TTL of 600 s has passed, and refused calls renew nothing")


@clause_test("LC-8", at_most=10, family=families(2, 4), own=sessions(), sealed=every(False, True))
async def test_a_removed_session_is_found_by_no_read(
    context: TestContext, family: list[SessionData], own: SessionData, sealed: bool
) -> None:
    store = await context.store(sealed=sealed)
    stranger = context.identity("stranger")
    own = own.model_copy(update={"identity": stranger, "session_id": context.session_id("the stranger's own")})
    gone, *kept = family = [*family, own]
    for session in family:
        await store.create_session(session)
    await store.remove_session(stranger, gone.session_id)
    await store.remove_session(gone.identity, context.session_id("never created"))
    await assert_shows(context, store, family, when="after removals of what is not there", should="remove nothing")
    for _ in range(2):
        await store.remove_session(gone.identity, gone.session_id)
        await assert_shows(context, store, kept, [gone], when="after the removal", should="remove that session alone")


@clause_test("LC-8", at_most=3, session=sessions())
async def test_a_new_session_inherits_nothing_of_a_removed_one(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    old, new = (session.model_copy(update=shape) for shape in (FILLED, ABSENT))
    await store.create_session(old)
    await store.remove_session(old.identity, old.session_id)
    await store.create_session(new)
    should = "show the new session, and nothing of the removed one"
    await assert_shows(context, store, [new], when="after a removal and a create", should=should)


@clause_test("LC-8", at_most=2, session=sessions())
async def test_a_session_of_another_key_can_be_removed(context: TestContext, session: SessionData) -> None:
    for each in await sessions_of_another_key(context, session):
        store = await context.store()
        await store.remove_session(each.identity, each.session_id)
        await assert_shows(context, store, gone=[each], when="after the removal", should="show nothing of it")


@clause_test("LC-10", at_most=1, session=sessions(), other=sessions())
async def test_clear_all_leaves_nothing(context: TestContext, session: SessionData, other: SessionData) -> None:
    store = await context.store()
    other = other.model_copy(
        update={"identity": context.identity("another"), "session_id": context.session_id("other")}
    )
    many = await create_many(context, store, session, context.tier.clearing, least=10_000)
    await create_many(context, store, session, min(context.tier.clearing, context.tier.listed) // 2, identities=True)
    await store.create_session(other)
    last = many[-1].model_copy(update={"session_id": context.session_id("last")})
    await store.create_session(last, 600)
    shown = [many[0], other, last]
    await assert_shows(context, store, shown, when="before clear_all", should="show what was created")
    await store.clear_all()
    await assert_shows(context, store, gone=[*shown, many[-1]], when="after clear_all", should="show nothing")
    left = await store.get_identity_mcp_sessions(session.identity)
    data = await store.get_identity_sessions_data(session.identity)
    everywhere = await store.get_all_session_ids()
    if left or data or everywhere:
        counts = f"{len(left)}, {len(data)} and {len(everywhere)}"
        raise Violation(f"after clear_all of {len(many)} the listings hold {counts} sessions", should="be empty")
    await store.create_session(last, 3600)
    if (ids := await store.get_identity_mcp_sessions(session.identity)) != [last.session_id]:
        raise Violation(f"a session created after clear_all is listed as {ids[:5]}", should="be the only one")
    if context.can(Capability.CLOCK):
        await context.pass_time(600 + ROUNDING)
    await store.cleanup_expired_sessions()
    await assert_shows(context, store, [last], when="after clear_all and a new create", should="show that session")


@clause_test("LC-10", at_most=1, session=sessions())
async def test_clear_all_leaves_nothing_under_odd_names(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    for name in EDGE_CASE_NAMES:  # one at a time: a pattern such as * clears the others too
        odd = session.model_copy(update={"identity": context.identity(name), "session_id": context.session_id(name)})
        await store.create_session(odd)
        await store.clear_all()
        await assert_shows(context, store, gone=[odd], when="after clear_all", should="show nothing")


@clause_test("LC-10", at_most=2, session=sessions())
async def test_clear_all_needs_no_key(context: TestContext, session: SessionData) -> None:
    for each in await sessions_of_another_key(context, session):
        store = await context.store()
        await store.clear_all()
        await assert_shows(context, store, gone=[each], when="after clear_all", should="show nothing, with any key")


@clause_test("LC-10", needs=[Capability.AT_REST], waits=True, at_most=1, session=sessions())
async def test_clear_all_leaves_no_row_of_an_expired_session(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    ttl = context.ttl(60)
    await store.create_session(session, ttl)
    await context.pass_time(ttl + ROUNDING)
    await store.clear_all()
    try:
        await stored(context, session)
    except LookupError:
        return
    raise Violation("after clear_all the row of an expired session is still stored", should="leave nothing")


@clause_test("LC-12", at_most=1, session=sessions())
async def test_a_closed_store_does_not_answer(context: TestContext, session: SessionData) -> None:
    store = await context.open()
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
        *(((store.clear_all,), (store.cleanup_expired_sessions,)) if context.store_is_ours else ()),
    ):
        await assert_raises(StorageError, method(*arguments), doing=f"{method.__name__} after disconnect")
