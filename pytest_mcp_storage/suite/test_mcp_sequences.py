"""Every clause that planned sequences can break: any operation after any other, across handles, identities and faults.

The sequences run once for a backend, in the first of these tests; each test reports what they broke of its clause.
"""

from __future__ import annotations

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.workloads.sequences.run import report


@clause_test("RT-1")
async def test_no_sequence_returns_something_else_than_was_created(context: TestContext) -> None:
    await report(context, "RT-1")


@clause_test("LC-1")
async def test_no_sequence_lets_a_live_session_be_created_again(context: TestContext) -> None:
    await report(context, "LC-1")


@clause_test("LC-2")
async def test_no_sequence_invents_a_session(context: TestContext) -> None:
    await report(context, "LC-2")


@clause_test("LC-3")
async def test_no_sequence_loses_an_update(context: TestContext) -> None:
    await report(context, "LC-3")


@clause_test("LC-4")
async def test_no_sequence_keeps_what_was_revoked(context: TestContext) -> None:
    await report(context, "LC-4")


@clause_test("LC-5")
async def test_no_sequence_updates_a_missing_session(context: TestContext) -> None:
    await report(context, "LC-5")


@clause_test("LC-6")
async def test_no_sequence_changes_an_identity(context: TestContext) -> None:
    await report(context, "LC-6")


@clause_test("LC-7")
async def test_no_sequence_is_changed_by_a_refused_call(context: TestContext) -> None:
    await report(context, "LC-7")


@clause_test("LC-8")
async def test_no_sequence_shows_a_removed_session(context: TestContext) -> None:
    await report(context, "LC-8")


@clause_test("LC-10")
async def test_no_sequence_shows_a_cleared_session(context: TestContext) -> None:
    await report(context, "LC-10")


@clause_test("LC-11")
async def test_no_sequence_breaks_a_handle_that_is_opened_again(context: TestContext) -> None:
    await report(context, "LC-11")


@clause_test("ID-1")
async def test_no_sequence_is_missing_from_the_listing(context: TestContext) -> None:
    await report(context, "ID-1")


@clause_test("ID-2")
async def test_no_sequence_is_missing_from_the_listing_of_ids(context: TestContext) -> None:
    await report(context, "ID-2")


@clause_test("ID-5")
async def test_no_sequence_shows_a_session_to_another_identity(context: TestContext) -> None:
    await report(context, "ID-5")


@clause_test("ID-7")
async def test_no_sequence_is_missing_from_all_ids(context: TestContext) -> None:
    await report(context, "ID-7")


@clause_test("EX-1")
async def test_no_sequence_ends_a_session_early(context: TestContext) -> None:
    await report(context, "EX-1")


@clause_test("EX-2")
async def test_no_sequence_shows_an_expired_session(context: TestContext) -> None:
    await report(context, "EX-2")


@clause_test("EX-3")
async def test_no_sequence_revives_an_expired_session(context: TestContext) -> None:
    await report(context, "EX-3")


@clause_test("EX-4")
async def test_no_sequence_keeps_an_expired_id_taken(context: TestContext) -> None:
    await report(context, "EX-4")


@clause_test("EX-5")
async def test_no_sequence_makes_cleanup_remove_the_wrong_sessions(context: TestContext) -> None:
    await report(context, "EX-5")


@clause_test("EX-7")
async def test_no_sequence_leaves_a_renewed_session_its_old_end(context: TestContext) -> None:
    await report(context, "EX-7")


@clause_test("EX-10")
async def test_no_sequence_ends_a_session_with_another(context: TestContext) -> None:
    await report(context, "EX-10")


@clause_test("EN-1")
async def test_no_sequence_leaves_a_secret_in_clear(context: TestContext) -> None:
    await report(context, "EN-1")


@clause_test("EN-3")
async def test_no_sequence_uses_an_iv_twice(context: TestContext) -> None:
    await report(context, "EN-3")


@clause_test("EN-5")
async def test_no_sequence_opens_a_session_without_its_key(context: TestContext) -> None:
    await report(context, "EN-5")


@clause_test("EN-6")
async def test_no_sequence_lets_a_wrong_key_change_a_session(context: TestContext) -> None:
    await report(context, "EN-6")


@clause_test("EN-9")
async def test_no_sequence_opens_the_secrets_that_an_update_does_not_name(context: TestContext) -> None:
    await report(context, "EN-9")


@clause_test("MX-1")
async def test_no_sequence_hides_a_session_in_clear(context: TestContext) -> None:
    await report(context, "MX-1")


@clause_test("MX-2")
async def test_no_sequence_writes_an_update_in_clear(context: TestContext) -> None:
    await report(context, "MX-2")


@clause_test("MX-3")
async def test_no_sequence_mixes_clear_and_sealed_wrongly(context: TestContext) -> None:
    await report(context, "MX-3")


@clause_test("DU-1")
async def test_no_sequence_loses_a_session_when_it_is_closed(context: TestContext) -> None:
    await report(context, "DU-1")


@clause_test("CO-4")
async def test_no_sequence_is_not_seen_by_another_handle(context: TestContext) -> None:
    await report(context, "CO-4")


@clause_test("CA-1")
async def test_no_sequence_is_half_done_when_cancelled(context: TestContext) -> None:
    await report(context, "CA-1")


@clause_test("CA-2")
async def test_no_sequence_is_disturbed_by_a_cancelled_call(context: TestContext) -> None:
    await report(context, "CA-2")


@clause_test("CA-4")
async def test_no_sequence_swallows_a_cancellation(context: TestContext) -> None:
    await report(context, "CA-4")


@clause_test("FA-1")
async def test_no_sequence_hides_an_outage(context: TestContext) -> None:
    await report(context, "FA-1")


@clause_test("FA-2")
async def test_no_sequence_is_disturbed_by_an_outage(context: TestContext) -> None:
    await report(context, "FA-2")


@clause_test("FA-3")
async def test_no_sequence_is_half_done_without_its_answer(context: TestContext) -> None:
    await report(context, "FA-3")
