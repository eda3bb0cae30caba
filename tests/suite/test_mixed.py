"""MX: the report names the parts about keys that could not be measured. test_encryption has the conforming stores."""

from __future__ import annotations

from collections.abc import Callable

from pytest_mcp_storage import Outcome
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.spec.outcome import Measurement


def test_what_one_store_per_handle_cannot_show_is_reported(judge: Callable[..., list[Measurement]]) -> None:
    seen = {each.test: each for each in judge(MemoryHarness, "MX", tier="smoke")}
    assert seen["test_clear_sessions_are_read_beside_sealed_ones"].outcome is Outcome.NOT_APPLICABLE
    assert any("older key" in note for note in seen["test_a_session_outlives_its_key"].notes)
    assert seen["test_any_mixture_of_clear_and_sealed_writes_answers_as_the_model_does"].examples > 0
