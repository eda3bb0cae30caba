"""EX · times that the store's own source names."""

from __future__ import annotations

from itertools import product

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.oracle.assertions import JUST_BEFORE, assert_gone, assert_live
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.oracle.limits import LONGEST_TTL
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from reference_backends import SessionData

MOST_TIME = 500 * 365 * 86_400
"""Seconds that the clock of the run may move here: no store must know a moment after the year 9999."""


@clause_test("EX-9", waits=True, at_most=1, session=sessions())
async def test_ttls_that_the_source_names_are_kept_as_given(context: TestContext, session: SessionData) -> None:
    if not context.can(Capability.CLOCK):
        return context.leave_out("the ttls that the store's source names, which need CLOCK")
    store = await context.store()
    start = context.now()
    for ttl, renewed in product(context.constants.around(1, LONGEST_TTL), (False, True)):
        if context.now() + ttl - start > MOST_TIME:
            continue
        context.begin()
        each = context.own(session)
        name = each.identity, each.session_id
        await store.create_session(each, 5 if renewed else ttl)
        if renewed:
            await store.update_session(*name, {"active": True}, ttl)
        written_at = context.now()
        await context.pass_time(ttl - JUST_BEFORE)
        await assert_live(context, store, each, until=written_at + ttl)
        await context.pass_time(JUST_BEFORE + ROUNDING)
        await assert_gone(store, each, why=f"its TTL of {ttl} s has passed")
        await store.remove_session(*name)
    return None
