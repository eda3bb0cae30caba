"""The console script: its table, and which modules it loads when."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from pytest_mcp_storage.cli import COMMANDS, main
from pytest_mcp_storage.spec.clauses import load_clauses


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, env={"COLUMNS": "100"})


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_table_is_there_and_says_what_it_does(name: str) -> None:
    shown = run(name, "--help")
    assert shown.exit_code == 0, shown.output
    assert f"main {name}" in shown.output
    assert name in run("--help").output


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run("nonsense").exit_code == 2


def test_the_script_itself_loads_no_command() -> None:
    loaded = (
        "import sys, pytest_mcp_storage.cli; print(*(m for m in sys.modules if m.startswith('pytest_mcp_storage')))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pytest_mcp_storage", "pytest_mcp_storage.cli"]


# -- mcp-storage clauses ---------------------------------------------------------------------------------------------


def words_of(text: str) -> str:
    return " ".join(text.split())


def test_the_whole_contract_is_printed() -> None:
    shown = run("clauses")
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    printed = [
        line.split()[:2] for line in lines if line.startswith("  ") and line.strip()[:2].isupper() and "-" in line[:8]
    ]
    assert printed == [[clause.id, clause.level.value] for clause in load_clauses()]
    flat = words_of(shown.output)
    for clause in load_clauses():
        assert clause.statement in flat, clause.id
        assert f"{clause.group} · {clause.group_title}" in flat
    assert max(map(len, lines)) <= 100


def test_a_group_is_printed_alone() -> None:
    shown = run("clauses", "RT").output
    assert "RT-1" in shown
    assert "EX-1" not in shown


def test_a_clause_is_printed_whole_in_either_spelling() -> None:
    clause = next(each for each in load_clauses() if each.id == "EX-5")
    for spelling in ("EX-5", "ex-5"):
        shown = words_of(run("clauses", spelling).output)
        for part in (clause.statement, clause.why, *clause.tests, *(what for _, what in clause.optional_parts),
                     "AT_REST", "--mcp-allow-destructive", "--mcp-clause=EX-5"):  # fmt: skip
            assert part in shown
        assert "EX-6" not in shown


@pytest.mark.parametrize(
    ("name", "near"), [("EX-99", "EX-9"), ("EX2", "EX-2"), ("XE", "EX"), ("zzzz", "the groups are RT, LC")]
)
def test_an_unknown_clause_is_a_usage_error_with_near_misses(name: str, near: str) -> None:
    shown = run("clauses", name)
    assert shown.exit_code == 2
    assert near in words_of(shown.output)


def test_an_unknown_revision_is_a_usage_error() -> None:
    shown = run("clauses", "--revision", "1999-01")
    assert shown.exit_code == 2
    assert "2026-11" in shown.output
