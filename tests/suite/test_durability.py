"""DU: conforming stores pass, and some changes of a file are no damage. `mcp-storage zoo` runs the broken ones."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage import NotMeasurable, Outcome
from pytest_mcp_storage.faults.damage import DAMAGES, Damage, inflict, is_json, is_sqlite, main_file
from pytest_mcp_storage.faults.worker_client import Worker
from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.workloads import crash
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness
from pytest_mcp_storage.zoo.json_store import JsonStoreHarness

Judge = Callable[..., list[Measurement]]


def test_what_a_store_cannot_show_is_not_applicable(judge: Judge) -> None:
    seen = {each.clause: each.outcome for each in judge(InMemoryHarness, "DU", tier="smoke")}
    assert seen.pop("DU-1") is Outcome.PASSED
    assert set(seen.values()) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize("clause", ["DU-2", "DU-3"])
def test_the_calls_of_a_process_that_ended_before_the_kill_count(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, clause: str
) -> None:
    until_killed, begun = crash._until_killed, []

    async def late(worker: Worker, *moment: Any) -> list[Call]:
        begun.append(worker)
        return [call async for call in worker] if len(begun) == 1 else await until_killed(worker, *moment)

    monkeypatch.setattr(crash, "_until_killed", late)
    seen = judge(JsonStoreHarness, clause, seed=3)
    assert len(begun) > 1
    assert [each for each in seen if each.outcome is not Outcome.PASSED] == []


def test_a_process_that_is_through_before_the_kill_proves_nothing(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash, "STEPS", 1)
    (seen,) = judge(JsonStoreHarness, "DU-2", tier="smoke", seed=3)
    assert seen.outcome is Outcome.NOT_MEASURED
    assert "before it could be killed" in seen.message


def test_a_harness_that_shows_no_file_is_not_measured(judge: Judge) -> None:
    class Blind(JsonStoreHarness):
        def files(self) -> list[Path]:
            return []

    for clause in ("DU-4", "DU-5"):
        seen = judge(Blind, clause, tier="smoke")
        assert {each.outcome for each in seen} == {Outcome.NOT_MEASURED}, seen


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "some.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mcp_sessions (sessionId TEXT PRIMARY KEY, data TEXT)")
        connection.executemany("INSERT INTO mcp_sessions VALUES (?, ?)", [(f"s{n}", "x" * n) for n in range(500)])
        connection.commit()
    return path


@pytest.mark.parametrize(
    "damage", [each for each in DAMAGES if each.concerns(b"SQLite format 3\0")], ids=lambda damage: damage.what
)
def test_no_damaged_database_can_be_read(database: Path, damage: Damage) -> None:
    inflict(damage, [database])
    assert database.stat().st_size > 0
    with contextlib.closing(sqlite3.connect(database)) as connection, pytest.raises(sqlite3.DatabaseError):
        connection.execute("SELECT max(length(data)) FROM mcp_sessions").fetchall()


@pytest.mark.parametrize("damage", [each for each in DAMAGES if each.concerns(b"[1]")], ids=lambda damage: damage.what)
@pytest.mark.parametrize("content", ['[{"identity": "alice"}]\n', '{"alice": [1]}', "[]"])
def test_no_damaged_json_file_is_of_its_kind(tmp_path: Path, damage: Damage, content: str) -> None:
    path = tmp_path / "sessions.json"
    path.write_text(content)
    inflict(damage, [path])
    try:
        seen = json.loads(path.read_bytes())
    except ValueError:
        return
    assert type(seen) is not type(json.loads(content))


def test_damage_fits_the_file(tmp_path: Path, database: Path) -> None:
    assert is_sqlite(database.read_bytes())
    assert not is_json(database.read_bytes())
    (emptied,) = (each for each in DAMAGES if each.what == "emptied")
    before = database.read_bytes()
    inflict(emptied, [database, tmp_path / "missing"])
    assert database.read_bytes() == before


def test_a_main_file_needs_content(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for files in ([], [empty], [tmp_path / "missing"], [tmp_path]):
        with pytest.raises(NotMeasurable):
            main_file(files)
