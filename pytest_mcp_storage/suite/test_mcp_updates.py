"""LC · updates: refusals are the same with a ttl and without a field, and an update counts after many others."""

from __future__ import annotations

from itertools import product
from typing import Any

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation, assert_raises
from pytest_mcp_storage.oracle.assertions import assert_shows
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.spec.comparison import difference
from reference_backends import InvalidSessionError, SessionData, SessionNotFoundError

TTLS = (None, 9_000, 0.75)
MANY = {"smoke": 260, "standard": 1_030, "deep": 66_000}
"""Updates of one session: more than a byte counts, than a list keeps, than two bytes count."""


@clause_test("LC-5", at_most=4, session=sessions(), ttl=every(*TTLS), named=every({}, {"server_name": "n"}))
async def test_only_an_own_live_session_can_be_renewed(
    context: TestContext, session: SessionData, ttl: float | None, named: dict[str, Any]
) -> None:
    store = await context.store()
    missing = session.model_copy(update={"session_id": context.session_id("missing")})
    stranger = session.model_copy(update={"identity": context.identity("stranger")})
    await store.create_session(session)
    for each, what in ((missing, "a missing session"), (stranger, "another identity's session")):
        update = store.update_session(each.identity, each.session_id, named, ttl)
        await assert_raises(SessionNotFoundError, update, doing=f"updating {what} with ttl={ttl!r}")
    await assert_shows(context, store, [session], [missing], when="after refused updates", should="be as before")
    if (seen := await store.get_session(stranger.identity, stranger.session_id)) is not None:
        raise Violation(f"after a stranger's update get_session returned {seen!r}", should="create nothing")


@clause_test("LC-6", at_most=3, session=sessions(), ttl=every(*TTLS))
async def test_no_ttl_lets_an_unknown_or_a_fixed_field_through(
    context: TestContext, session: SessionData, ttl: float | None
) -> None:
    store = await context.store()
    await store.create_session(session)
    name = session.identity, session.session_id
    fields = {
        "identity": "other",
        "session_id": session.session_id,
        "no_such_field": 1,
        "sessionId": "x",
        "expires": 1,
    }
    for (field, value), rest in product(fields.items(), ({}, {"server_name": "n"})):
        update = store.update_session(*name, {**rest, field: value}, ttl)
        await assert_raises(InvalidSessionError, update, doing=f"an update of {field} with ttl={ttl!r}")
    await assert_shows(context, store, [session], when="after refused updates", should="be as before")


@clause_test("LC-3", at_most=1, session=sessions())
async def test_an_update_counts_after_many_others(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    session = session.model_copy(update=FILLED)
    name = session.identity, session.session_id
    await store.create_session(session)
    count = MANY[context.tier.name]
    count = count if context.environment.pace == 1 else min(count, 300)
    for number in range(count):
        await store.backend.update_session(*name, {"server_name": f"{number}", "tokens": {"t": f"{number}"}})
        if number % 64 == 63 or number > count - 3:
            expected = session.model_copy(update={"server_name": f"{number}", "tokens": {"t": f"{number}"}})
            if found := difference(await store.get_session(*name), expected):
                raise Violation(f"after {number + 1} updates get_session returned {found}", should="show the last one")
    ids = await store.get_identity_mcp_sessions(session.identity)
    if ids != [session.session_id]:
        raise Violation(f"after {count} updates the identity lists {ids[:5]}", should="list the session once")
