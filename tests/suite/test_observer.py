"""The observer sees faults in secrets after tests of other clauses, and none on conforming stores."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
from pytest_mcp_storage.workloads.observer import SealObserver
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness
from pytest_mcp_storage.zoo.mutants import envelopes, touching
from tests.suite.conftest import clause_test


class ShowsOldValues(InMemoryHarness):
    """Shows what was stored earlier too, as the files and the log of PostgreSQL do."""

    old = b""

    async def stored_bytes(self) -> bytes:
        return self.old + await super().stored_bytes()

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        self.old = await self.stored_bytes()
        await super().replace_stored_field(identity, session_id, field, value)
        self.old = await self.stored_bytes()


def measured(harness: type[BackendHarness], test: str, loop: SuiteLoop) -> Measurement:
    environment = Environment("store", harness, loop)
    environment.observer = SealObserver()
    environment.start()
    clause = next(each for each in load_clauses() if test in each.tests)
    try:
        return measure(clause_test(test), clause, environment, TIERS["smoke"], 0, destructive=True)
    finally:
        environment.stop()


@pytest.mark.parametrize(
    ("harness", "test", "clauses"),
    [
        (InMemoryHarness, "test_get_returns_what_was_created", []),
        (InMemoryHarness, "test_updates_of_every_field_at_once_are_all_kept", []),
        (InMemoryHarness, "test_a_wrong_key_and_no_key_are_refused", []),
        (ShowsOldValues, "test_an_altered_envelope_is_refused", []),
        (envelopes.FixedIv, "test_get_returns_what_was_created", ["EN-3"]),
        (touching.RenewalRewritesInClear, "test_renewals_undo_no_concurrent_update", ["MX-2"]),
    ],
)
def test_what_is_seen_after_a_test(harness: Any, test: str, clauses: list[str], suite_loop: SuiteLoop) -> None:
    seen = measured(harness, test, suite_loop)
    assert seen.outcome is Outcome.PASSED
    assert [each.clause for each in seen.observed] == clauses
    assert all(f"after {test}" in each.message for each in seen.observed)
    assert Measurement.from_json(seen.to_json()) == seen
