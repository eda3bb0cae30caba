"""The report as JSON: written, read again, and refused if the file is something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.report.model import Report, ReportError
from pytest_mcp_storage.report.write import write
from pytest_mcp_storage.spec.outcome import Outcome

LEAST: dict[str, Any] = {
    "suite": "pytest-mcp-storage 0.1.0",
    "revision": "2026-11",
    "tier": "standard",
    "seed": 0,
    "backends": [
        {
            "name": "sqlite",
            "harness": "m:H",
            "version": "1",
            "capabilities": ["DURABLE"],
            "verdict": "not_conformant",
            "clauses": [{"id": "EX-2", "level": "MUST", "outcome": "failed", "message": "m", "reproduce": "pytest"}],
        }
    ],
}
"""The keys that the interface promises, and no other."""


def changed(**fields: Any) -> dict[str, Any]:
    return {**LEAST, **fields}


def test_a_report_comes_back_as_it_was_written(every_outcome: Report, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write(every_outcome, path)
    assert Report.load(path) == every_outcome


def test_hostile_text_comes_back_as_it_was_written(hostile: Report, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write(hostile, path)
    assert Report.load(path) == hostile


def test_the_json_has_the_keys_of_the_interface(every_outcome: Report) -> None:
    data = every_outcome.to_json()
    assert set(LEAST) <= set(data)
    backend = data["backends"][0]
    assert set(LEAST["backends"][0]) <= set(backend)
    promised = {"id", "level", "outcome", "examples", "seconds", "message", "reproduce"}
    assert all(promised <= set(clause) for clause in backend["clauses"])
    assert [clause["outcome"] for clause in backend["clauses"]] == [
        "passed", "failed", "deviation", "not_applicable", "not_measured", "failed"]  # fmt: skip
    json.dumps(data)


def test_the_least_report_can_be_read_and_its_groups_are_in_its_ids() -> None:
    report = Report.from_json(LEAST)
    clause = report.backends[0].clauses[0]
    assert (clause.outcome, clause.group, clause.history) == (Outcome.FAILED, "EX", [])
    assert report.groups == {"EX": ""}


def test_keys_of_a_later_version_are_left_out() -> None:
    backend = LEAST["backends"][0] | {"colour": "blue"}
    assert Report.from_json(changed(backends=[backend], mood="good")) == Report.from_json(LEAST)


@pytest.mark.parametrize(
    ("data", "reported"),
    [
        ([], "the whole"),
        ({}, "suite"),
        (changed(seed="x"), "seed"),
        (changed(backends={}), "backends"),
        (changed(backends=[{"name": "x"}]), "backends.0.harness"),
        (changed(backends=[LEAST["backends"][0] | {"clauses": [{"id": "EX-1", "level": "MUST", "outcome": "odd"}]}]),
         "backends.0.clauses.0.outcome"),
    ],
)  # fmt: skip
def test_another_file_is_refused_by_the_place_that_is_wrong(data: Any, reported: str) -> None:
    with pytest.raises(ReportError, match="not a report of this suite") as caught:
        Report.from_json(data)
    assert reported in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "nonsense", "\ufeff{}"], ids=range(5))
def test_a_file_that_is_not_json_is_refused_by_name(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ReportError, match=r"broken\.json: "):
        Report.load(path)


def test_a_file_that_is_not_text_or_not_there_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.json").mkdir()
    for name in ("bytes", "absent", "folder"):
        with pytest.raises(ReportError, match=rf"{name}\.json: "):
            Report.load(tmp_path / f"{name}.json")
