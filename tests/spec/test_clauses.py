"""The contract as data, and that contract and suite hold each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mcp_storage.engine import clause_tests
from pytest_mcp_storage.spec import clauses as module
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clauses import LATEST, Clause, ContractError, Level, load_clauses, revisions, select
from pytest_mcp_storage.suite import suite_files

ROW = {"id": "AA-1", "level": "MUST", "statement": "It  holds\n always.", "why": "Because.", "tests": ["test_a"]}
OTHER = {**ROW, "id": "AA-2", "tests": ["test_b"]}


@pytest.fixture
def contract() -> tuple[Clause, ...]:
    return load_clauses()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Clause, ...]]]:
    """Load a contract of the given rows, in place of the project's own."""

    def load(*rows: dict[str, Any], revision: str = "2001-01") -> tuple[Clause, ...]:
        document = {"revision": revision, "groups": [{"id": "AA", "title": "A group", "clauses": list(rows)}]}
        (tmp_path / "2001-01.yaml").write_text(yaml.safe_dump(document))
        load_clauses.cache_clear()
        return load_clauses("2001-01")

    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    yield load
    load_clauses.cache_clear()


# -- the contract and the suite --------------------------------------------------------------------------------------


def test_no_clause_is_without_its_tests_and_no_test_without_its_clause(contract: tuple[Clause, ...]) -> None:
    named = Counter((clause.id, test) for clause in contract for test in clause.tests)
    there = Counter(
        (test.clause, test.name)
        for path in suite_files()
        for test in clause_tests.tests_in(import_module(f"pytest_mcp_storage.suite.{Path(path).stem}"))
    )
    assert there == named


ACROSS_GROUPS = {
    "test_mcp_contention",
    "test_mcp_paths",
    "test_mcp_bare_names",
    "test_mcp_interruptions",
    "test_mcp_sequences",
}
"""Modules that use one kind of value in clauses of several groups."""


def test_each_module_has_one_group(contract: tuple[Clause, ...]) -> None:
    homes: dict[str, set[str]] = {}
    for path in suite_files():
        for test in clause_tests.tests_in(import_module(f"pytest_mcp_storage.suite.{Path(path).stem}")):
            homes.setdefault(Path(path).stem, set()).add(test.clause.partition("-")[0])
    single = {name: groups for name, groups in homes.items() if name not in ACROSS_GROUPS}
    assert {name: len(groups) for name, groups in single.items()} == dict.fromkeys(single, 1)
    assert set().union(*homes.values()) == {clause.group for clause in contract}


def test_every_clause_is_a_sentence_with_a_reason(contract: tuple[Clause, ...]) -> None:
    for clause in contract:
        for text in (clause.statement, clause.why):
            assert text.endswith((".", ".)")), clause.id
            assert text == " ".join(text.split()), clause.id


def test_ids_are_in_order_within_their_group(contract: tuple[Clause, ...]) -> None:
    for group in {clause.group for clause in contract}:
        numbers = [int(clause.id.partition("-")[2]) for clause in contract if clause.group == group]
        assert numbers == sorted(numbers), group


def test_a_group_is_in_one_place(contract: tuple[Clause, ...]) -> None:
    runs = [clause.group for at, clause in enumerate(contract) if at == 0 or contract[at - 1].group != clause.group]
    assert len(runs) == len(set(runs))


# -- loading ---------------------------------------------------------------------------------------------------------


def test_a_clause_is_read_whole(written: Callable[..., tuple[Clause, ...]]) -> None:
    row = ROW | {
        "level": "SHOULD",
        "needs": ["KEY", "AT_REST"],
        "optional_parts": {"CLOCK": "the year"},
        "store_wide": True,
    }
    assert written(row) == (
        Clause(
            "AA-1",
            Level.SHOULD,
            "It holds always.",
            "Because.",
            frozenset({Capability.KEY, Capability.AT_REST}),
            ("test_a",),
            "AA",
            "A group",
            ((Capability.CLOCK, "the year"),),
            store_wide=True,
        ),
    )


def test_a_half_is_left_out_where_its_capability_is_missing(written: Callable[..., tuple[Clause, ...]]) -> None:
    (clause,) = written(ROW | {"optional_parts": {"CLOCK": "the year", "KEY": "the key"}})
    assert clause.left_out(frozenset({Capability.KEY})) == ("left out: the year (needs CLOCK)",)
    assert clause.left_out(frozenset(Capability)) == ()


@pytest.mark.parametrize(
    ("rows", "reported"),
    [
        ([ROW | {"wyh": "x"}], "unknown keys ['wyh']"),
        ([ROW | {"level": "MAY"}], "MAY"),
        ([ROW | {"needs": ["MAGIC"]}], "MAGIC"),
        ([ROW | {"optional_parts": {"MAGIC": "x"}}], "MAGIC"),
        ([ROW | {"id": "BB-1"}], "BB-1 is not an id of group AA"),
        ([ROW | {"id": "AA-01"}], "AA-01 is not an id"),
        ([ROW | {"id": "AA"}], "AA is not an id"),
        ([ROW | {"statement": " "}], "AA-1 lacks"),
        ([ROW | {"why": ""}], "AA-1 lacks"),
        ([ROW | {"tests": []}], "AA-1 lacks"),
        ([ROW | {"statement": None}], "AA-1"),
        ([ROW | {"tests": None}], "AA-1"),
        ([{key: value for key, value in ROW.items() if key != "why"}], "AA-1: KeyError('why')"),
        ([{key: value for key, value in ROW.items() if key != "id"}], "a clause without id"),
        ([ROW, OTHER | {"id": "AA-1"}], "clause id is listed twice: AA-1"),
        ([ROW, OTHER | {"tests": ["test_a"]}], "test is listed twice: test_a"),
    ],
)
def test_a_contract_that_does_not_hold_together_is_refused(
    written: Callable[..., tuple[Clause, ...]], rows: list[dict[str, Any]], reported: str
) -> None:
    with pytest.raises(ContractError) as caught:
        written(*rows)
    assert reported in str(caught.value)


def test_a_file_must_be_the_revision_that_it_is_named_for(written: Callable[..., tuple[Clause, ...]]) -> None:
    with pytest.raises(ContractError, match=r"spec/2001-01\.yaml calls itself revision '1999-09'"):
        written(ROW, revision="1999-09")


@pytest.mark.parametrize("revision", ["2001-01", "../spec/2026-11", "__init__"])
def test_an_unknown_revision_is_refused_with_the_known_ones(revision: str) -> None:
    with pytest.raises(ContractError, match=LATEST):
        load_clauses(revision)


def test_other_files_next_to_the_revisions_are_none(written: Callable[..., tuple[Clause, ...]], tmp_path: Path) -> None:
    written(ROW)
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "__pycache__").mkdir()
    assert revisions() == ("2001-01",)


def test_the_latest_revision_is_known_and_taken_by_default() -> None:
    assert revisions()[-1] == LATEST
    assert load_clauses() == load_clauses(LATEST)


# -- selecting -------------------------------------------------------------------------------------------------------


def test_ids_and_groups_select_in_the_contracts_order(contract: tuple[Clause, ...]) -> None:
    chosen = [clause.id for clause in select(contract, ["RT", "EX-2"])]
    assert chosen == [clause.id for clause in contract if clause.group == "RT" or clause.id == "EX-2"]
    assert select(contract, []) == contract


@pytest.mark.parametrize("name", ["EX-99", "XX", "ex-2", "", "EX-"])
def test_a_name_that_is_neither_is_refused(contract: tuple[Clause, ...], name: str) -> None:
    with pytest.raises(ContractError, match="mcp-storage clauses"):
        select(contract, ["RT-1", name])
