"""docs/upstream.yaml names clauses and tests that exist, and the page and the picture are made from the data."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from pytest_mcp_storage.bridge.backend_names import MCP_TS_STORES
from pytest_mcp_storage.spec.clauses import load_clauses

DOCS = Path(__file__).parents[2] / "docs"
DEFECTS: list[dict[str, Any]] = yaml.safe_load((DOCS / "upstream.yaml").read_text(encoding="utf-8"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(DOCS))
    yield import_module("upstream_report")
    for name in ("upstream_report", "upstream_picture"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect["what"][:40])
def test_what_finds_a_defect_exists(defect: dict[str, Any]) -> None:
    tests = {clause.id: {name.rpartition("::")[2] for name in clause.tests} for clause in load_clauses()}
    for clause, finding in defect.get("tests", {}).items():
        assert finding
        assert set(finding) <= tests[clause]
    assert set(defect.get("clauses", [])) <= tests.keys()
    assert set(defect["stores"]) <= set(MCP_TS_STORES)
    assert bool(defect.get("tests")) != bool(defect.get("unseen") and defect.get("clauses"))


def planted(runs: Path, store: str, *failures: tuple[str, str, str]) -> None:
    """Write the results of a run in which these tests failed: clause, test, text."""
    clauses = [
        {"id": clause, "level": "MUST", "outcome": "failed" if clause in {one[0] for one in failures} else "passed"}
        for clause in ("EX-2", "LC-4")
    ]
    backend = {
        "name": f"mcp-ts:{store}",
        "harness": "",
        "version": "",
        "capabilities": [],
        "verdict": "not_conformant",
        "clauses": clauses,
    }
    report = {"suite": "suite 1", "revision": "2026-11", "tier": "smoke", "seed": 0, "backends": [backend]}
    (runs / f"{store}.json").write_text(json.dumps(report))
    cases = "".join(
        f'<testcase name="{test}[mcp-ts:{store}]">'
        f'<properties><property name="mcp_clause" value="{clause}"/></properties>'
        f"<failure>{text}</failure></testcase>"
        for clause, test, text in failures
    )
    (runs / f"{store}.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")


def test_a_defect_counts_as_found_by_its_own_test_and_message_only(script: Any, tmp_path: Path) -> None:
    planted(tmp_path, "redis", ("LC-4", "test_gone", "LC-4 (MUST): tokens = 1\n  should:    be gone"))
    judged = script.read("redis", tmp_path)

    def missed(**more: Any) -> Any:
        return script.Defect("d", ["redis"], **more).missed(judged)

    assert missed(tests={"LC-4": ["test_gone"]}) == []
    assert missed(tests={"LC-4": ["test_gone", "test_other"]}) == []
    assert missed(tests={"LC-4": ["test_gone"], "EX-2": ["test_gone"]}) == ["EX-2"], "each clause must find it"
    assert missed(tests={"LC-4": ["test_other"]}) == ["LC-4"]
    assert missed(tests={"LC-4": ["test_gone"]}, seen="tokens") == []
    assert missed(tests={"LC-4": ["test_gone"]}, seen="be gone") == ["LC-4"], "only the message counts"
    assert missed(tests={"LC-4": ["test_gone"]}, sound=True) == ["LC-4"]
    assert missed(tests={"LC-4": ["test_other"]}, sound=True) == []
    assert missed(clauses=["LC-4"], unseen="nobody looks") == []


def test_a_clause_that_failed_at_the_deep_tier_has_failed(script: Any, tmp_path: Path) -> None:
    planted(tmp_path, "redis", ("EX-2", "test_hidden", "EX-2 (MUST): shown"))
    planted(tmp_path, "redis-deep", ("LC-4", "test_gone", "LC-4 (MUST): tokens = 1"))
    judged = script.read("redis", tmp_path)
    assert [clause.outcome.value for clause in judged.backend.clauses] == ["failed", "failed"]
    assert script.Defect("d", ["redis"], {"LC-4": ["test_gone"]}, deep=True).missed(judged) == []
    assert [each.message for each in judged.failures if each.deep] == ["LC-4 (MUST): tokens = 1"]


def test_no_place_of_the_machine_is_written_down(script: Any) -> None:
    home, here = Path.home(), DOCS.parent
    text = f"{here}/docs/x.py {sys.prefix}/bin/python {home}/.cache/y /tmp/mcp-storage-1_a/sessions.json"
    assert script.placeless(text) == "…/docs/x.py …/bin/python ~/.cache/y …/sessions.json"


def test_the_page_has_verdicts_and_defects(script: Any, tmp_path: Path) -> None:
    planted(
        tmp_path, "memory", ("EX-2", "test_hidden", "EX-2 (MUST): it showed it"), ("EX-2", "test_too", "EX-2: again")
    )
    planted(tmp_path, "file")
    defects = [
        script.Defect("the TTL is ignored", ["memory", "file"], {"EX-2": ["test_hidden"]}),
        script.Defect("a matter of numbers", ["memory"], {"EX-2": ["test_hidden"]}, deep=True),
        script.Defect("a sound one", ["memory", "file"], {"EX-2": ["test_hidden"]}, sound=True),
        script.Defect("a secret matter", ["memory"], clauses=["EX-2"], unseen="no test"),
    ]
    script.save([script.read(store, tmp_path) for store in ("memory", "file")], defects, tmp_path / "data.gz")
    report, missed = script.load(tmp_path / "data.gz")
    lines = list(script.document(report, defects, missed))
    assert "| `mcp-ts:memory` | 1 | 1 | 0 | 0 | 0 | not conformant |" in lines
    assert "| the TTL is ignored | EX-2 | memory, **not in file (EX-2)** |" in lines
    assert "| a matter of numbers | EX-2 | memory, at the deep tier |" in lines
    assert "| a sound one | EX-2 | **memory failed**, file passed |" in lines
    assert "| a secret matter | EX-2 | not judged: no test |" in lines
    drawn = ElementTree.fromstring(script.picture(report))
    assert "memory: 1 passed, 1 failed, 0 not judged" in str(drawn.findtext(f"{SVG}desc"))
    counts = [each.text for each in drawn.iter(f"{SVG}text") if "count" in str(each.get("class"))]
    assert counts == ["1", "1", "2"]


def test_the_page_and_the_picture_are_those_of_the_data(script: Any) -> None:
    report, missed = script.load(script.DATA)
    page = "\n".join(script.document(report, script.known_defects(), missed)) + "\n"
    assert script.SUMMARY.read_text(encoding="utf-8") == page, "run: python docs/upstream_report.py --write"
    assert script.PICTURE.read_text(encoding="utf-8") == script.picture(report)
    assert [backend.name for backend in report.backends] == [f"mcp-ts:{store}" for store in MCP_TS_STORES]
    assert len(page.splitlines()) < 100


def test_the_data_has_what_the_full_page_shows_and_no_path_of_a_machine(script: Any) -> None:
    report, _ = script.load(script.DATA)
    failed = [clause for backend in report.backends for clause in backend.clauses if clause.outcome.value == "failed"]
    assert failed
    assert all(clause.message and clause.statement and clause.reproduce for clause in failed)
    assert "/root/" not in json.dumps(report.to_json())
    assert "/home/" not in json.dumps(report.to_json())
