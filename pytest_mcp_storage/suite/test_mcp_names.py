"""LC · names: invalid names are refused, and generated ids can't be guessed."""

from __future__ import annotations

import re
from itertools import product

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation, assert_raises, outcome_of
from pytest_mcp_storage.oracle.assertions import assert_shows
from pytest_mcp_storage.oracle.entropy import entropy
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.oracle.limits import LONGEST_NAME
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from reference_backends import InvalidSessionError, SessionData, SessionNotFoundError

LEAST_LENGTH = 12
LEAST_BITS = 70


@clause_test("LC-9", session=sessions())
async def test_an_empty_name_is_refused(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    await store.create_session(session)
    identity, session_id = session.identity, session.session_id
    for method, *arguments in (
        (store.get_session, "", session_id),
        (store.get_session, identity, ""),
        (store.update_session, "", session_id, {"server_name": "n"}),
        (store.update_session, identity, "", {"server_name": "n"}),
        (store.update_session, "", session_id, {}),
        (store.update_session, identity, "", {}),
        (store.remove_session, "", session_id),
        (store.remove_session, identity, ""),
        (store.get_identity_sessions_data, ""),
        (store.get_identity_mcp_sessions, ""),
    ):
        await assert_raises(InvalidSessionError, method(*arguments), doing=f"{method.__name__} with an empty name")
    if found := difference(await store.get_session(session.identity, session.session_id), session):
        raise Violation(f"after calls with empty names get_session returned {found}", should="return it unchanged")


@clause_test("LC-9", at_most=5, session=sessions())
async def test_a_name_that_no_session_can_have_finds_nothing(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    # Filled up on the side without the example's mark.
    identity, session_id = f"{session.identity:x<{LONGEST_NAME}}", f"{session.session_id:x>{LONGEST_NAME}}"
    longest = session.model_copy(update={"identity": identity, "session_id": session_id})
    for each in (session, longest):
        await store.create_session(each)
    for each, spoilt in [*product((session, longest), ("\0", "\0x", "\ud800")), (longest, "x")]:
        identity, session_id = each.identity + spoilt, each.session_id + spoilt
        for method, unknown, *arguments in (
            (store.get_session, None, identity, each.session_id),
            (store.get_session, None, each.identity, session_id),
            (store.remove_session, None, identity, each.session_id),
            (store.remove_session, None, each.identity, session_id),
            (store.get_identity_mcp_sessions, [], identity),
            (store.get_identity_sessions_data, [], identity),
            (store.update_session, SessionNotFoundError, identity, each.session_id, {}),
            (store.update_session, SessionNotFoundError, identity, each.session_id, {"server_name": "spoilt"}),
            (store.update_session, SessionNotFoundError, each.identity, session_id, {}),
            (store.update_session, SessionNotFoundError, each.identity, session_id, {"server_name": "spoilt"}),
        ):
            got = await outcome_of(method(*arguments))
            if not isinstance(got, (InvalidSessionError, SessionNotFoundError)) and got != unknown:
                doing = f"{method.__name__} with {spoilt!r} after a name of {len(each.identity)} characters"
                raise Violation(f"{doing} {describe(got)}", should="refuse it, or find nothing")
    live = [session, longest]
    await assert_shows(
        context, store, live, when="after calls with impossible names", should="leave the sessions there"
    )


@clause_test("LC-13")
async def test_session_ids_are_unguessable(context: TestContext) -> None:
    ids = []
    for count in (100, context.tier.ids):  # two handles: equal seeds give equal ids
        context.begin()
        store = await context.open()
        ids += [store.generate_session_id() for _ in range(count)]
        await store.disconnect()
    for each in ids:
        if not isinstance(each, str) or not re.fullmatch(rf"[A-Za-z][A-Za-z0-9]{{{LEAST_LENGTH - 1},}}", each):
            raise Violation(
                f"generate_session_id returned {each!r}", should="be a letter, then letters and digits, ≥ 12"
            )
    if len(set(ids)) < len(ids):
        raise Violation(f"{len(ids) - len(set(ids))} of {len(ids)} ids occur twice", should="never repeat")
    bits = sum(entropy([each[place] for each in ids]) for place in range(min(map(len, ids))))
    if bits < LEAST_BITS:
        raise Violation(
            f"{len(ids)} ids show {bits:.1f} bits, position by position", should=f"have {LEAST_BITS} at least"
        )
