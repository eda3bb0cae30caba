"""CO · concurrency: listings while other sessions come and go, and several identities at once."""

from __future__ import annotations

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.workloads.churn import Churn
from pytest_mcp_storage.workloads.tenants import assert_answers_each_for_itself, plans
from reference_backends import SessionData

HANDLES = 3


@clause_test("CO-6", at_most=1, session=sessions())
async def test_a_listing_is_right_while_other_sessions_come_and_go(context: TestContext, session: SessionData) -> None:
    reads = ["get_identity_sessions_data", "get_identity_mcp_sessions"]
    if context.store_is_ours:
        reads.append("get_all_session_ids")
    else:
        context.leave_out("get_all_session_ids: the store may hold others' data")
    stores = await context.handles(2 if context.can(Capability.SHARED) else 1)
    await Churn(context, stores[0], session).run(stores[-1], reads)


@clause_test("CO-7", shuffled=True, session=sessions(), acts=plans())
async def test_calls_for_several_identities_answer_each_for_its_own(
    context: TestContext, session: SessionData, acts: list[list[str]]
) -> None:
    await assert_answers_each_for_itself(context, [await context.store()], session, acts)


@clause_test("CO-7", shuffled=True, needs=[Capability.SHARED], at_most=20, session=sessions(), acts=plans())
async def test_calls_for_several_identities_on_several_handles(
    context: TestContext, session: SessionData, acts: list[list[str]]
) -> None:
    await assert_answers_each_for_itself(context, await context.handles(HANDLES), session, acts)
