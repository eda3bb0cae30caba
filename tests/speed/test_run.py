"""What the benchmark finds in stores that are slow, wrong, hung or shared."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pytest_mcp_storage import BackendHarness
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.session.backends import MakeHarness, harness_of, resolve
from pytest_mcp_storage.speed import timing, words
from pytest_mcp_storage.speed.operations import CREATE, GET, OPERATIONS, UPDATE, Operation
from pytest_mcp_storage.speed.result import StoreResult
from pytest_mcp_storage.speed.run import CALLERS, STEPS_OF_A_STORE, bench
from pytest_mcp_storage.speed.store import Store
from reference_backends import SqliteStorageBackend
from tests.speed import slow_stores

SIZES = (100, 10_000)
SECONDS = 0.05


def grown(make: MakeHarness, sizes: tuple[int, ...] = SIZES) -> StoreResult:
    """Return the growth of a store, which is filled however long that takes."""
    store = Store("mine", make)
    try:
        store.start()
        for size in sizes:
            store.fill(size, 60)
            store.measure_growth(SECONDS)
    finally:
        store.stop()
    assert store.result.refused == ""
    return store.result


def timed(make: MakeHarness, *operations: Operation, callers: int = 1, destructive: bool = False) -> StoreResult:
    store = Store("mine", make, destructive=destructive)
    try:
        store.start()
        for operation in operations:
            store.time(operation, callers, SECONDS)
    finally:
        store.stop()
    return store.result


def growing(result: StoreResult) -> set[str]:
    return {each.operation for each in result.growth if each.grows}


# -- the three planted faults ----------------------------------------------------------------------------------------


def test_a_full_scan_is_found() -> None:
    result = grown(slow_stores.FullScan, (100, 6_000))
    assert growing(result) >= {"get", "update", "create"}
    (listing,) = (each for each in result.growth if each.operation == "list 10")
    assert listing.factor > 1.5
    assert "get grows with others' sessions: ×" in "\n".join(words.findings(result))


def test_a_missing_index_is_found() -> None:
    result = grown(slow_stores.MissingIndex)
    assert "list 10" in growing(result)
    assert "get" not in growing(result)
    assert "list 10 grows with others' sessions: ×" in "\n".join(words.findings(result))


@pytest.mark.parametrize(
    "harness",
    [slow_stores.ReconnectingSqlite, pytest.param(slow_stores.ReconnectingRedis, marks=pytest.mark.server)],
)
def test_a_connection_for_each_call_is_found(harness: type[BackendHarness]) -> None:
    result = timed(harness, GET, UPDATE)
    assert [speed.operation for speed in result.reconnecting] == ["get", "update"]
    assert " a call: keep one open, or a pool" in "\n".join(words.findings(result))


@pytest.mark.parametrize("name", ["memory", "sqlite", pytest.param("redis", marks=pytest.mark.server)])
def test_a_store_that_keeps_its_connection_is_not_blamed(name: str) -> None:
    assert timed(resolve(name), GET, UPDATE).reconnecting == []


def test_an_indexed_store_does_not_grow() -> None:
    result = grown(MemoryHarness)
    assert {each.operation for each in result.growth} == {"get", "list 10", "update", "create"}
    assert growing(result) == set()


# -- a whole run -----------------------------------------------------------------------------------------------------


def test_every_operation_is_timed_on_every_store() -> None:
    steps: list[str] = []
    stores = [Store("one", MemoryHarness), Store("two", MemoryHarness, compared=True)]
    result = bench(stores, 1.0, steps.append)
    assert len(steps) == 2 * STEPS_OF_A_STORE
    for store in result.stores:
        noted = {note.partition(":")[0] for note in store.notes}  # a busy machine may not create 1,000 sessions in time
        assert {(each.operation, each.callers) for each in store.speeds} == {
            (operation.name, callers) for operation in OPERATIONS if operation.name not in noted for callers in CALLERS
        }
        assert noted <= {"list 1,000", "growth"}
        assert all(0 < each.p50_ms <= each.p99_ms and each.per_second > 0 for each in store.speeds)
        assert {each.points[0].others for each in store.growth} == {100}


def test_a_store_that_cannot_be_opened_does_not_stop_the_others() -> None:
    def broken() -> object:
        raise RuntimeError("no server here")

    result = bench([Store("broken", harness_of("broken", broken)), Store("memory", MemoryHarness)], 1.0)
    assert result.stores[0].refused == "RuntimeError: no server here"
    assert result.stores[1].speeds


# -- wrong, hung, shared ---------------------------------------------------------------------------------------------


def test_the_speed_of_a_wrong_answer_is_not_reported() -> None:
    result = timed(slow_stores.Forgetful, *OPERATIONS[:4])
    assert [speed.operation for speed in result.speeds] == ["create", "get", "update"]
    assert result.notes == ["list 10: not measured: WrongAnswer: get_identity_sessions_data returned 9 of 10 sessions"]


def test_a_call_that_never_returns_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "CALL_LIMIT", 1.0)
    result = timed(slow_stores.Hung, GET, CREATE)
    assert [speed.operation for speed in result.speeds] == ["create"]
    assert len(result.notes) == 1
    assert result.notes[0].startswith("get: not measured: no answer within")


def test_a_store_that_may_hold_others_data_is_left_as_it_was() -> None:
    slow_stores.opened.clear()
    make = harness_of("shared", slow_stores.shared)
    result = timed(make, *OPERATIONS)
    assert "cleanup" not in {speed.operation for speed in result.speeds}
    assert "cleanup: not measured: the store may hold others' data; --allow-destructive runs it" in result.notes


def test_what_was_created_in_a_shared_store_is_removed(tmp_path: Path) -> None:
    def shared() -> SqliteStorageBackend:
        return SqliteStorageBackend(tmp_path / "shared.db")

    store = Store("mine", harness_of("shared", shared))
    store.start()
    store.fill(200, 60)
    store.time(CREATE, 4, SECONDS)
    store.stop()
    assert [note for note in store.result.notes if "remain" in note] == []

    async def left() -> list[str]:
        backend = shared()
        await backend.init()
        try:
            return await backend.get_all_session_ids()
        finally:
            await backend.disconnect()

    assert asyncio.run(left()) == []
