"""docs/key-value.md: its explanations name real stores and clauses, and each defect still shows without the suite."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mcp_storage import load_clauses

DOCS = Path(__file__).parents[2] / "docs"
DEFECTS: list[dict[str, Any]] = yaml.safe_load((DOCS / "key-value.yaml").read_text(encoding="utf-8"))
HERE = {"disk", "filetree", "filetree_v1", "memory"}
"""Stores that need no server and no package beyond those of the tests."""


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(DOCS))
    yield import_module("key_value_report")
    for name in ("key_value_report", "key_value_stores", "key_value_defects"):
        sys.modules.pop(name, None)


def test_the_explanations_name_stores_and_clauses(report: Any) -> None:
    ids = {clause.id for clause in load_clauses()}
    for defect in DEFECTS:
        assert set(defect["clauses"]) <= set(report.STORES), defect["title"]
        assert {each for clauses in defect["clauses"].values() for each in clauses} <= ids, defect["title"]
    page = report.PAGE.read_text(encoding="utf-8")
    assert page.index(report.START) < page.index(report.END)
    assert [each["title"] for each in DEFECTS if f"### {each['title']}\n" not in page] == []


@pytest.mark.parametrize(
    ("confirm", "store"),
    [(each["confirm"], store) for each in DEFECTS for store in sorted(HERE.intersection(each["clauses"]))],
)
def test_each_defect_shows_without_the_suite(report: Any, confirm: str, store: str) -> None:
    assert asyncio.run(report.confirmed(confirm, store))


@pytest.mark.parametrize("confirm", ["slashes_meet", "some_names_fail"])
def test_the_names_that_fastmcp_sets_up_do_not_have_them(report: Any, confirm: str) -> None:
    assert not asyncio.run(report.confirmed(confirm, "filetree_v1"))
