"""EX-6 and EX-7 on stores with a fixed default TTL, which ``open`` can't change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage import Capability, Outcome
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness
from pytest_mcp_storage.zoo.registry import all_mutants
from reference_backends import StorageBackend

Judge = Callable[..., list[Measurement]]

HOUR, DAY = 3600.0, 86_400.0


class FixedBackend(InMemoryBackend):
    lifetime = HOUR

    def _lifetime(self, ttl: float | None) -> float:
        return self.lifetime if ttl is None else super()._lifetime(ttl)


class Fixed(InMemoryHarness):
    """A store whose default TTL is one hour, and says so."""

    backend = FixedBackend
    capabilities = InMemoryHarness.capabilities - {Capability.DEFAULT_TTL}
    default_ttl_seconds = HOUR

    async def open(self, **options: object) -> StorageBackend:  # type: ignore[override]
        assert "default_ttl" not in options
        return await super().open(**options)  # type: ignore[arg-type]


class Long(Fixed):
    """A store whose default TTL is a day, which is more than the usual one."""

    backend = type("LongBackend", (FixedBackend,), {"lifetime": DAY})
    default_ttl_seconds = DAY


@pytest.mark.parametrize("clause", ["LC-11", "EX-2", "EX-5"])
@pytest.mark.parametrize("harness", [Fixed, Long])
def test_no_other_clause_counts_on_twelve_hours(judge: Judge, harness: type[Fixed], clause: str) -> None:
    seen = judge(harness, clause, tier="smoke")
    assert {each.outcome for each in seen} <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}, seen
    assert Outcome.PASSED in {each.outcome for each in seen}


@pytest.mark.parametrize("clause", ["EX-6", "EX-7", "MX"])
def test_a_fixed_default_is_judged_by_what_the_harness_says(judge: Judge, clause: str) -> None:
    seen = judge(Fixed, clause, tier="smoke")
    assert {each.outcome for each in seen} <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}, seen
    assert Outcome.PASSED in {each.outcome for each in seen}


def test_a_fixed_default_that_nobody_declared_fails(judge: Judge) -> None:
    hidden = type("Hidden", (Fixed,), {"default_ttl_seconds": 43_200.0})
    (first, *_) = [each for each in judge(hidden, "EX-6", tier="smoke") if each.outcome is Outcome.FAILED]
    assert "before its end" in first.message or "the default TTL" in first.should


@pytest.mark.parametrize("clause", ["EX-6", "HA"])
def test_a_store_that_ignores_the_default_ttl_is_named_as_such(judge: Judge, clause: str) -> None:
    ignores = type("Ignores", (InMemoryHarness,), {"backend": FixedBackend, "default_ttl_seconds": HOUR})
    failed = [each for each in judge(ignores, clause, tier="smoke") if each.outcome is Outcome.FAILED]
    assert any("and the store ignored it: after " in each.message for each in failed), failed
    assert all(each.should.endswith("don't declare DEFAULT_TTL") for each in failed if "ignored it" in each.message)


def test_a_listing_that_shows_the_expired_is_not_taken_for_an_ignored_default(judge: Judge) -> None:
    lists = next(each.harness for each in all_mutants() if each.name == "ListingForgetsExpiry")
    messages = [each.message for each in judge(lists, "HA") if each.outcome is Outcome.FAILED]
    assert any("other reads did not" in each for each in messages), messages
    assert not any("ignored it" in each for each in messages)
