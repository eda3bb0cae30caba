"""EX-7 and EX-10 on correct stores that are slow: a write may take as long as a TTL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pytest_mcp_storage import Capability, Outcome
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness
from reference_backends import SessionData, SessionUpdate

Judge = Callable[..., list[Measurement]]


class SlowCreates(InMemoryBackend):
    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await asyncio.sleep(3 if ttl is not None and ttl < 10 else 0)
        await super().create_session(session, ttl)


class SlowUpdates(InMemoryBackend):
    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await asyncio.sleep(2)
        await super().update_session(identity, session_id, changes, ttl)


def harness_of(backend_type: type[InMemoryBackend]) -> type[InMemoryHarness]:
    """Return a harness without CLOCK, so that TTLs are waited for in real time."""
    capabilities = InMemoryHarness.capabilities - {Capability.CLOCK}
    return type("Harness", (InMemoryHarness,), {"backend": backend_type, "capabilities": capabilities})


def test_the_end_of_a_neighbour_counts_from_its_own_create(judge: Judge) -> None:
    (seen,) = judge(harness_of(SlowCreates), "EX-10", only="test_neighbours_expire_each_in_its_own_time")
    assert seen.outcome is Outcome.PASSED, seen


@pytest.mark.parametrize(
    "test", ["test_an_update_with_ttl_sets_it_anew", "test_a_session_is_renewed_as_often_as_it_is_updated"]
)
def test_an_update_after_the_end_of_its_session_is_not_measured(judge: Judge, test: str) -> None:
    (seen,) = judge(harness_of(SlowUpdates), "EX-7", only=test)
    assert seen.outcome is Outcome.NOT_MEASURED, seen
