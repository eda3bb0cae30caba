"""A store that may hold others' data keeps it in every run without ``--mcp-allow-destructive``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mcp_storage import Capability, load_clauses
from pytest_mcp_storage.oracle.limits import LONGEST_TTL
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness, InMemoryStore
from pytest_mcp_storage.zoo.json_store import JsonStoreHarness
from reference_backends import SessionData

Judge = Callable[..., list[Measurement]]

GROUPS = sorted({clause.group for clause in load_clauses()})
THEIRS = SessionData(
    session_id="1",
    identity="alice",
    server_url="https://mcp.example",
    callback_url="https://app.example",
    transport_type="sse",
    created_at=1,
)


async def plant(harness: InMemoryHarness | JsonStoreHarness) -> None:
    """Return a session of another user."""
    store = await harness.open()
    await store.create_session(THEIRS, LONGEST_TTL)
    await store.disconnect()


async def kept(harness: InMemoryHarness | JsonStoreHarness) -> SessionData | None:
    """Return what is left of it."""
    store = await harness.open()
    seen = await store.get_session(THEIRS.identity, THEIRS.session_id)
    await store.disconnect()
    return seen


@pytest.mark.parametrize("group", GROUPS)
def test_what_others_keep_in_memory_stays(judge: Judge, group: str) -> None:
    store = InMemoryStore()

    class Shared(InMemoryHarness):
        dedicated = False

        def __init__(self) -> None:
            self.store = store

    asyncio.run(plant(Shared()))
    seen = judge(Shared, group, examples=2, destructive=False)
    assert asyncio.run(kept(Shared())) == THEIRS
    assert Outcome.FAILED not in {each.outcome for each in seen}, seen


@pytest.mark.parametrize("group", ["DU", "EN"])
def test_what_others_keep_in_a_file_stays(judge: Judge, group: str, tmp_path: Path) -> None:
    class Shared(JsonStoreHarness):
        dedicated = False
        capabilities = JsonStoreHarness.capabilities - {Capability.CRASH}  # no other process finds this class

        def __init__(self) -> None:
            super().__init__()
            self._folder, self._attached = tmp_path, True

    asyncio.run(plant(Shared()))
    judge(Shared, group, examples=2, destructive=False)
    assert asyncio.run(kept(Shared())) == THEIRS
