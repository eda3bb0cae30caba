"""CO · concurrency: listings while other sessions come and go, and several identities at once."""

from __future__ import annotations

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.oracle.strategies import sessions
from pytest_mcp_storage.ordeals.churn import Churn
from pytest_mcp_storage.ordeals.tenants import must_answer_each_for_itself, plans
from reference_backends import SessionData

HANDLES = 3


@measures("CO-6", at_most=1, session=sessions())
async def test_a_listing_is_right_while_other_sessions_come_and_go(trial: Trial, session: SessionData) -> None:
    reads = ["get_identity_sessions_data", "get_identity_mcp_sessions"]
    if trial.store_is_ours:
        reads.append("get_all_session_ids")
    else:
        trial.leave_out("get_all_session_ids: the store may hold others' data")
    stores = await trial.handles(2 if trial.can(Capability.SHARED) else 1)
    await Churn(trial, stores[0], session).run(stores[-1], reads)


@measures("CO-7", shuffled=True, session=sessions(), acts=plans())
async def test_calls_for_several_identities_answer_each_for_its_own(
    trial: Trial, session: SessionData, acts: list[list[str]]
) -> None:
    await must_answer_each_for_itself(trial, [await trial.store()], session, acts)


@measures("CO-7", shuffled=True, needs=[Capability.SHARED], at_most=20, session=sessions(), acts=plans())
async def test_calls_for_several_identities_on_several_handles(
    trial: Trial, session: SessionData, acts: list[list[str]]
) -> None:
    await must_answer_each_for_itself(trial, await trial.handles(HANDLES), session, acts)
