"""``mcp-storage zoo`` fails for a matrix with a gap.

The results here are made up; tests/zoo/test_run.py has real ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_mcp_storage.commands import zoo as commands
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.mutants import expiry
from pytest_mcp_storage.zoo.registry import all_mutants
from pytest_mcp_storage.zoo.run import KillResult

Run = Callable[..., Result]

SURVIVED = KillResult("IgnoresTtl", ("EX-2",), "standard")
FAILED = KillResult("Plain", (), "smoke", by=["RT-1"], message="RT-1: not what was written")
UNMEASURED = KillResult("Plain", (), "smoke", faults=["FA-1: could not be cut off"])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command, as if each mutant had been killed except these."""

    def run(*names: str, but: KillResult | None = None, columns: int = 120) -> Result:
        def run(chosen: list[str], **_: Any) -> Iterator[KillResult]:
            clauses = {each.name: each.clauses for each in (*commands.all_mutants(), *commands.conforming_stores())}
            for name in chosen:
                well = KillResult(name, clauses[name], "smoke", by=[*clauses[name]], examples=3, seconds=0.25)
                yield but if but and but.mutant == name else well

        monkeypatch.setattr(commands, "_results", run)
        return CliRunner().invoke(commands.zoo, names, env={"COLUMNS": str(columns)})

    return run


def test_what_is_killed_and_what_is_passed_is_no_problem(run: Run) -> None:
    done = run("IgnoresTtl", "Plain")
    assert done.exit_code == 0, done.output
    assert "1 of 1 broken stores killed, 1 of them at smoke; 1 of 1 conforming ones passed; seed 0" in done.output


@pytest.mark.parametrize(
    ("result", "words", "count"),
    [
        (SURVIVED, "IgnoresTtl survived EX-2", "0 of 1 broken stores killed, 0 of them at smoke"),
        (
            FAILED,
            "Plain is conforming, and failed RT-1: RT-1: not what was written",
            "0 of 1 conforming ones passed",
        ),
        (
            UNMEASURED,
            "Plain is conforming, and could not be measured: FA-1: could not",
            "0 of 1 conforming ones passed",
        ),
    ],
)
def test_a_hole_is_named_and_fails_the_command(run: Run, result: KillResult, words: str, count: str) -> None:
    done = run(result.mutant, but=result)
    assert done.exit_code == 1
    assert words in done.output
    assert count in done.output


def test_a_clause_without_a_broken_store_fails_the_whole_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = tuple(each for each in all_mutants() if "EX-2" not in each.clauses)
    lone = Mutant("IgnoresTtl", ("EX-3",), "a test", expiry.IgnoresTtl)
    monkeypatch.setattr(commands, "all_mutants", lambda: (*rest, lone))
    done = run()
    assert done.exit_code == 1
    assert "EX-2 (MUST) has no broken store" in done.output


@pytest.mark.parametrize(
    ("called", "among", "beside"),
    [("EX-2", "IgnoresTtl", "Plain"), ("EX", "IgnoresTtl", "Plain"), ("conforming", "Plain", "IgnoresTtl")],
)
def test_mutants_are_chosen_by_clause_by_group_and_as_conforming(
    run: Run, called: str, among: str, beside: str
) -> None:
    done = run(called)
    assert done.exit_code == 0, done.output
    shown = {line.split()[0] for line in done.output.splitlines()}
    assert among in shown
    assert beside not in shown


def test_names_are_whole_on_a_narrow_terminal(run: Run) -> None:
    longest = max((each.name for each in all_mutants()), key=len)
    done = run(longest, columns=60)
    assert longest in done.output.split()


def test_a_name_that_the_zoo_does_not_know_is_a_usage_error(run: Run) -> None:
    done = run("Unicorn")
    assert done.exit_code == 2
    assert "no mutant, clause or group of the zoo is called Unicorn" in done.output


def test_a_run_that_no_terminal_shows_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "BETWEEN_LINES", 0.0)
    done = CliRunner().invoke(commands.zoo, ["IgnoresTtl", "--jobs", "1"])
    assert re.search(r"^1 of 1 stores after \d+ s, about 0 s left$", done.output, re.M), done.output
    assert commands._so_far(30, 90, 60.0) == "30 of 90 stores after 60 s, about 120 s left"
