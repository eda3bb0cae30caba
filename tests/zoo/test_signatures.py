"""The table of kill signatures that diagnoses compare with."""

from __future__ import annotations

import json

from pytest_mcp_storage.report.cause_classes import CLASSES, classes_of
from pytest_mcp_storage.report.signature_table import expanded, packed
from pytest_mcp_storage.report.similarity import trials
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.zoo.registry import all_mutants
from pytest_mcp_storage.zoo.signatures import FILE, PRECISION, batched, read_table

LARGEST = 250_000


def test_the_table_has_the_mutants_of_the_zoo_and_is_small() -> None:
    mutants = {each.name: each for each in all_mutants()}
    table = read_table()["mutants"]
    assert set(table) <= set(mutants)
    assert len(table) >= 0.95 * len(mutants)
    assert [name for name, each in table.items() if tuple(each["clauses"]) != mutants[name].clauses] == []
    assert FILE.stat().st_size < LARGEST


def test_a_diagnosis_above_the_threshold_is_right_in_nine_of_ten_cases_and_most_mutants_get_one() -> None:
    table = read_table()
    printed = [each for each in trials(table["mutants"]) if each.confidence >= table["threshold"]]
    assert sum(each.right for each in printed) >= PRECISION * len(printed)
    assert len(printed) >= 0.6 * len(table["mutants"])


def test_a_signature_is_read_as_it_was_stored() -> None:
    signature = {
        "clauses": ["EX-2"],
        "why": "Late.",
        "failed": {"EX-2": "get expired", "EX-6": "get expired", "RE-1": ""},
    }
    assert expanded(json.loads(json.dumps(packed(signature)))) == signature


def test_names_are_run_in_batches() -> None:
    assert list(batched("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(batched("", 2)) == []


def test_every_clause_is_in_one_class_of_causes() -> None:
    listed = [clause for _, clauses in CLASSES.values() for clause in clauses.split()]
    assert sorted(listed) == sorted(clause.id for clause in load_clauses())
    assert classes_of(["RT-1", "RT-2", "XX-1"]) == ("values", "XX-1")
