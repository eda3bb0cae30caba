"""docs/upstream.yaml names clauses and tests that exist, and the report is made from what a run leaves behind."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from pytest_mcp_storage.bridge.names import MCP_TS_STORES
from pytest_mcp_storage.clauses import load_clauses

DOCS = Path(__file__).parents[2] / "docs"
DEFECTS: list[dict[str, Any]] = yaml.safe_load((DOCS / "upstream.yaml").read_text())


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = importlib.util.spec_from_file_location("upstream_report", DOCS / "upstream_report.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, "upstream_report", module)  # dataclasses look their module up
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect["what"][:40])
def test_what_finds_a_defect_exists(defect: dict[str, Any]) -> None:
    tests = {clause.id: set(clause.tests) for clause in load_clauses()}
    assert set(defect["clauses"]) <= tests.keys()
    measured = {name.rpartition("::")[2] for clause in defect["clauses"] for name in tests[clause]}
    assert set(defect.get("tests", [])) <= measured
    assert set(defect["stores"]) <= set(MCP_TS_STORES)
    assert bool(defect.get("tests")) != bool(defect.get("unseen"))


def planted(runs: Path, store: str, *failures: tuple[str, str, str]) -> None:
    """What a run leaves behind in which these tests failed: clause, test, text."""
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


def test_a_defect_counts_as_found_by_its_own_test_and_message_only(script: ModuleType, tmp_path: Path) -> None:
    planted(tmp_path, "redis", ("LC-4", "test_gone", "LC-4 (MUST): tokens = 1\n  should:    be gone"))
    judged = script.read("redis", tmp_path)

    def found(**more: Any) -> bool:
        return bool(script.Defect("d", ["LC-4"], ["redis"], **more).found(judged))

    assert found(tests=["test_gone"])
    assert found(tests=["test_gone", "test_other"])
    assert not found(tests=["test_gone", "test_other"], every=True)
    assert not found(tests=["test_other"])
    assert found(tests=["test_gone"], seen="tokens")
    assert not found(tests=["test_gone"], seen="be gone"), "only the message counts"


def test_the_document_tells_verdicts_defects_and_histories(script: ModuleType, tmp_path: Path) -> None:
    text = (
        "EX-2 (MUST): it showed &lt;it&gt;\n  should:    hide it\n  contract:  words that\n             go on\n"
        "  history:\n" + "".join(f"    {n}  call {n}\n" for n in range(40)) + "  reproduce: pytest x\n"
    )
    planted(tmp_path, "memory", ("EX-2", "test_hidden", text), ("EX-2", "test_hidden_too", "EX-2 (MUST): again"))
    planted(tmp_path, "file")
    judged = [script.read(store, tmp_path) for store in ("memory", "file")]
    defects = [
        script.Defect("the TTL is ignored", ["EX-2"], ["memory", "file"], ["test_hidden"]),
        script.Defect("a secret matter", ["EX-2"], ["memory"], unseen="nobody looks"),
    ]
    lines = list(script.document(judged, defects))
    assert "| `mcp-ts:memory` | 1 | 1 | 0 | 0 | 0 | not conformant |" in lines
    assert "| the TTL is ignored | EX-2 | memory, **not in file** |" in lines
    assert "| a secret matter | EX-2 | not to be seen: nobody looks |" in lines
    assert "| EX-2  | ✗ | ✓ |" in lines
    assert "<details><summary>EX-2 (MUST): it showed &lt;it&gt;</summary>" in lines
    assert "- EX-2 (MUST): again" in lines
    assert not any("words that" in line or "go on" in line for line in lines)
    assert "    39  call 39" in lines
    assert "    20  call 20" not in lines
    assert "  reproduce: pytest x" in lines
