"""``mcp-storage zoo`` refuses a matrix with a hole. The hunts are told here; tests/zoo/test_hunt.py has real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_mcp_storage.zoo import commands
from pytest_mcp_storage.zoo.houses import expiry
from pytest_mcp_storage.zoo.hunt import Catch
from pytest_mcp_storage.zoo.specimens import Specimen, defects

Run = Callable[..., Result]

ESCAPED = Catch("IgnoresTtl", ("EX-2",), "standard")
FAILED = Catch("Plain", (), "smoke", by=["RT-1"], message="RT-1: not what was written")
UNMEASURED = Catch("Plain", (), "smoke", faults=["FA-1: could not be cut off"])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command, as if each hunt had gone well but for these."""

    def run(*names: str, but: Catch | None = None, columns: int = 120) -> Result:
        def hunted(chosen: list[str], **_: Any) -> Iterator[Catch]:
            clauses = {each.name: each.clauses for each in (*commands.defects(), *commands.sound())}
            for name in chosen:
                well = Catch(name, clauses[name], "smoke", by=[*clauses[name]], examples=3, seconds=0.25)
                yield but if but and but.specimen == name else well

        monkeypatch.setattr(commands, "_hunted", hunted)
        return CliRunner().invoke(commands.zoo, names, env={"COLUMNS": str(columns)})

    return run


def test_what_is_caught_and_what_is_spared_is_no_problem(run: Run) -> None:
    done = run("IgnoresTtl", "Plain")
    assert done.exit_code == 0, done.output
    assert "1 of 1 broken stores caught, 1 of them at smoke; 1 of 1 sound ones spared; seed 0" in done.output


@pytest.mark.parametrize(
    ("catch", "words", "count"),
    [
        (ESCAPED, "IgnoresTtl escaped EX-2", "0 of 1 broken stores caught, 0 of them at smoke"),
        (FAILED, "Plain is sound, and was failed by RT-1: RT-1: not what was written", "0 of 1 sound ones spared"),
        (UNMEASURED, "Plain is sound, and could not be measured: FA-1: could not", "0 of 1 sound ones spared"),
    ],
)
def test_a_hole_is_named_and_fails_the_command(run: Run, catch: Catch, words: str, count: str) -> None:
    done = run(catch.specimen, but=catch)
    assert done.exit_code == 1
    assert words in done.output
    assert count in done.output


def test_a_clause_without_a_broken_store_fails_the_whole_hunt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = tuple(each for each in defects() if "EX-2" not in each.clauses)
    lone = Specimen("IgnoresTtl", ("EX-3",), "a test", expiry.IgnoresTtl)
    monkeypatch.setattr(commands, "defects", lambda: (*rest, lone))
    done = run()
    assert done.exit_code == 1
    assert "EX-2 (MUST) has no broken store" in done.output


@pytest.mark.parametrize(
    ("called", "among", "beside"),
    [("EX-2", "IgnoresTtl", "Plain"), ("EX", "IgnoresTtl", "Plain"), ("sound", "Plain", "IgnoresTtl")],
)
def test_specimens_are_chosen_by_clause_by_group_and_as_sound(run: Run, called: str, among: str, beside: str) -> None:
    done = run(called)
    assert done.exit_code == 0, done.output
    shown = {line.split()[0] for line in done.output.splitlines()}
    assert among in shown
    assert beside not in shown


def test_names_are_whole_on_a_narrow_terminal(run: Run) -> None:
    longest = max((each.name for each in defects()), key=len)
    done = run(longest, columns=60)
    assert longest in done.output.split()


def test_a_name_that_the_zoo_does_not_know_is_a_usage_error(run: Run) -> None:
    done = run("Unicorn")
    assert done.exit_code == 2
    assert "no specimen, clause or group of the zoo is called Unicorn" in done.output
