"""RS: conforming policies pass, and one hole does not fail the clauses about others."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

import pytest

from pytest_mcp_storage import Outcome
from pytest_mcp_storage.harnesses.supabase import SupabaseHarness
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness
from pytest_mcp_storage.zoo.mutants import row_security
from pytest_mcp_storage.zoo.mutants.row_security import GuardedHarness
from reference_backends import SessionData, StorageError, StorageUnavailableError

Judge = Callable[..., list[Measurement]]

UNTOUCHED = {
    row_security.ForgetsToSwitchItOn: {"RS-5"},
    row_security.LetsAnybodyInsert: {"RS-5"},
    row_security.SucceedsForNobody: {"RS-4", "RS-5"},
    row_security.TakesSignedInForOwner: {"RS-5"},
    row_security.DeletesForAnyUser: {"RS-5"},
    row_security.AsksForEither: {"RS-1", "RS-2", "RS-4", "RS-5"},
    row_security.ForgetsTheCheckOnUpdate: {"RS-1", "RS-2", "RS-4", "RS-5"},
    row_security.ForgetsTheServicesDelete: {"RS-1", "RS-2", "RS-3", "RS-5"},
    row_security.NeedsUuids: {"RS-1", "RS-2", "RS-3", "RS-4"},
    row_security.CutsTheProviderOff: {"RS-1", "RS-2", "RS-3", "RS-4"},
}
"""The clauses that each hole leaves unaffected. If the service role is bound nothing else can be measured."""


@pytest.mark.parametrize("broken", UNTOUCHED, ids=lambda broken: broken.__name__)
def test_a_broken_store_keeps_the_clauses_that_it_does_not_touch(judge: Judge, broken: type[GuardedHarness]) -> None:
    failed = {each.clause for each in judge(broken, "RS", tier="smoke") if each.outcome is not Outcome.PASSED}
    assert not failed & UNTOUCHED[broken]


def test_conforming_policies_are_passed(judge: Judge) -> None:
    seen = judge(GuardedHarness, "RS")
    assert {each.outcome for each in seen} == {Outcome.PASSED}, seen


class OtherPolicies(SupabaseHarness):
    """The store of this project with other policies on its table."""

    provider = "native"
    rule: ClassVar[str]

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        for command, name in (("select", "view"), ("insert", "insert"), ("update", "update"), ("delete", "delete")):
            policy = f'"Users can {name} their own sessions" on public.mcp_sessions'
            clause = {"insert": "with check"}.get(command, "using")
            await self._behind.execute(f"drop policy {policy}")
            await self._behind.execute(f"create policy {policy} for {command} to authenticated {clause} ({self.rule})")
        return self


class UpstreamsPolicies(OtherPolicies):
    """The policies of upstream's migration."""

    rule = "auth.uid()::text = user_id or auth.uid()::text = identity"


class SignedInPolicies(OtherPolicies):
    """Policies that let in every signed-in user."""

    rule = "true"


@pytest.mark.parametrize(
    ("harness", "failed"), [(UpstreamsPolicies, {"RS-3", "RS-5"}), (SignedInPolicies, {"RS-2", "RS-3"})]
)
def test_real_policies_are_distinguished(judge: Judge, harness: type[OtherPolicies], failed: set[str]) -> None:
    seen = judge(harness, "RS", tier="smoke")
    assert {each.clause for each in seen if each.outcome is Outcome.FAILED} == failed
    assert {each.clause for each in seen if each.outcome is not Outcome.PASSED} == failed, seen


def test_a_store_without_users_is_not_judged(judge: Judge) -> None:
    assert {each.outcome for each in judge(InMemoryHarness, "RS")} == {Outcome.NOT_APPLICABLE}


def test_a_store_that_refuses_the_anonymous_key_at_once_is_passed(judge: Judge) -> None:
    class Strict(GuardedHarness):
        async def open_as(self, user: str | None) -> InMemoryBackend:
            if user is None:
                raise StorageError("sign in first")
            return await super().open_as(user)

    assert {each.outcome for each in judge(Strict, "RS-1")} == {Outcome.PASSED}


def test_an_outage_is_no_refusal(judge: Judge) -> None:
    class Offline(GuardedHarness):
        async def open_as(self, user: str | None) -> InMemoryBackend:
            raise StorageUnavailableError("no route")

    assert {each.outcome for each in judge(Offline, "RS")} == {Outcome.FAILED}


def test_a_harness_that_breaks_down_judges_nobody(judge: Judge) -> None:
    class Fragile(GuardedHarness):
        async def write_row_as(self, user: str | None, session: SessionData, owner: str) -> None:
            raise OSError("psql is missing")

    (seen,) = judge(Fragile, "RS-3")
    assert seen.outcome is Outcome.NOT_MEASURED
    assert "psql is missing" in seen.message


def test_store_wide_calls_of_users_leave_out_a_store_that_others_use(judge: Judge) -> None:
    class Shared(GuardedHarness):
        dedicated = False

    seen = judge(Shared, "RS-1", destructive=False)
    assert {each.outcome for each in seen} == {Outcome.PASSED}
    assert any("clear_all" in note for each in seen for note in each.notes)
