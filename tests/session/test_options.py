"""The settings that a run takes from the command line and the ini file."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.session import options
from pytest_mcp_storage.spec.clauses import LATEST
from pytest_mcp_storage.stacks.supabase import providers

INI: dict[str, Any] = {"mcp_backends": [], "mcp_tier": "standard", "mcp_deviations": "", "mcp_strict": False}


class Config:
    """As much of ``pytest.Config`` as the options read."""

    def __init__(
        self, folder: Path, ini: dict[str, Any] | None = None, typed: tuple[str, ...] = (), **given: Any
    ) -> None:
        self.invocation_params = SimpleNamespace(dir=folder, args=typed)
        self.inipath: Path | None = None
        self.given = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
        self.ini = INI | (ini or {})

    def getoption(self, name: str, default: Any = None) -> Any:
        return self.given.get(name, default)

    def getini(self, name: str) -> Any:
        return self.ini[name]


def config(folder: Path, *args: Any, **given: Any) -> pytest.Config:
    made: Any = Config(folder, *args, **given)
    return made  # type: ignore[no-any-return]


def read(folder: Path, ini: dict[str, Any] | None = None, **given: Any) -> options.Options:
    return options.read(config(folder, ini, **{"mcp_backend": ["memory"], **given}))


def refusal(folder: Path, ini: dict[str, Any] | None = None, **given: Any) -> str:
    with pytest.raises(pytest.UsageError) as caught:
        read(folder, ini, **given)
    return str(caught.value)


def test_the_command_line_speaks_before_the_ini_file(tmp_path: Path) -> None:
    ini = {"mcp_backends": ["file", "sqlite"], "mcp_tier": "deep", "mcp_deviations": "a.yaml", "mcp_strict": True}
    found = read(tmp_path, ini, mcp_backend=None)
    assert (found.backends, found.tier.name, found.deviations, found.strict) == (
        ("file", "sqlite"), "deep", tmp_path / "a.yaml", True,
    )  # fmt: skip
    found = read(tmp_path, ini, mcp_tier="smoke", mcp_deviations="b.yaml")
    assert (found.backends, found.tier.name, found.deviations) == (("memory",), "smoke", tmp_path / "b.yaml")


def test_paths_of_the_ini_file_start_from_its_folder(tmp_path: Path) -> None:
    below: Any = config(tmp_path / "below", {"mcp_deviations": "a.yaml"}, mcp_backend=["memory"])
    below.inipath = tmp_path / "pytest.ini"
    assert options.read(below).deviations == tmp_path / "a.yaml"
    below.given["--mcp-deviations"] = "b.yaml"
    assert options.read(below).deviations == tmp_path / "below" / "b.yaml"


def test_a_backend_that_is_named_twice_is_judged_once(tmp_path: Path) -> None:
    assert read(tmp_path, mcp_backend=["memory", "file", "memory"]).backends == ("memory", "file")


def test_clauses_are_named_by_id_and_group_in_one_option_or_several(tmp_path: Path) -> None:
    assert read(tmp_path, mcp_clause=["HA, ex-2", "LC-1,"]).selected == {"HA-1", "EX-2", "LC-1"}
    assert read(tmp_path, mcp_clause=["EX-2 HA-1\tLC-1"]).selected == {"HA-1", "EX-2", "LC-1"}
    whole = read(tmp_path)
    assert whole.selected == {clause.id for clause in whole.clauses}


def test_what_cannot_be_served_is_refused(tmp_path: Path) -> None:
    assert "no clause or group 'EX-99'; is one of these meant: EX-9," in refusal(tmp_path, mcp_clause=["EX-99"])
    assert "no revision '1999'" in refusal(tmp_path, mcp_revision="1999")
    assert refusal(tmp_path, {"mcp_tier": "quick"}).endswith("(known: smoke, standard, deep)")


@pytest.mark.parametrize("name", ["out.txt", "out", "file/below/out.json", "folder.json"])
def test_a_report_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    tmp_path.joinpath("folder.json").mkdir()
    tmp_path.joinpath("file").touch()
    assert refusal(tmp_path, mcp_report=[name]).startswith(f"--mcp-report {name}")


def test_reports_are_written_where_pytest_was_called(tmp_path: Path) -> None:
    names = ["out.json", "out.html", "out.md", "out.svg", "out.json"]
    assert read(tmp_path, mcp_report=names).reports == tuple(tmp_path / name for name in names[:4])


@pytest.mark.parametrize(("given", "ci", "seed"), [("7", "", 7), ("7", "true", 7), (None, "true", 0), ("0", "", 0)])
def test_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, ci: str, seed: int) -> None:
    monkeypatch.setenv("CI", ci)
    assert read(tmp_path, hypothesis_seed=given).seed == seed


@pytest.mark.parametrize("given", ["abc", "-3", "1.5", "", "²"])
@pytest.mark.parametrize("ci", ["", "true"])
def test_a_seed_that_is_no_number_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, ci: str
) -> None:
    monkeypatch.setenv("CI", ci)
    assert refusal(tmp_path, hypothesis_seed=given) == (
        f"--hypothesis-seed must be a whole number from 0 on, not {given!r}"
    )


def test_a_seed_is_drawn_where_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert len({read(tmp_path).seed for _ in range(5)}) > 1


def test_a_worker_takes_the_controllers_seed(tmp_path: Path) -> None:
    worker: Any = config(tmp_path, mcp_backend=["memory"], hypothesis_seed="7")
    worker.workerinput = {options.SEED: 11}
    assert options.read(worker).seed == 11


def test_the_command_that_repeats_a_clause(tmp_path: Path) -> None:
    plain = read(tmp_path, hypothesis_seed="7")
    assert plain.reproduce("a b", "EX-2") == "pytest '--mcp-backend=a b' --mcp-clause=EX-2 --hypothesis-seed=7"
    other = read(tmp_path, hypothesis_seed="7", mcp_tier="deep", mcp_strict=True)
    assert other.reproduce("m", "EX-2").endswith("--hypothesis-seed=7 --mcp-tier=deep --mcp-strict")


def test_the_command_that_repeats_a_clause_leads_to_the_same_store_by_the_same_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(options.PROVIDER_VARIABLE, "auto")
    found = read(tmp_path, mcp_supabase="native", mcp_revision=LATEST).reproduce("supabase", "EX-5")
    assert found.endswith(f" --mcp-revision={LATEST} --mcp-supabase=native")


@pytest.mark.parametrize("provider", [None, "url", "native"])
def test_the_command_that_repeats_a_clause_never_allows_what_is_destructive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str | None
) -> None:
    """Someone may paste the command into a shell whose SUPABASE_URL leads to a shared project."""
    monkeypatch.setenv(options.PROVIDER_VARIABLE, "auto")
    found = read(tmp_path, mcp_supabase=provider, mcp_allow_destructive=True).reproduce("supabase", "EX-5")
    assert "destructive" not in found


def test_the_provider_of_supabase_reaches_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(options.PROVIDER_VARIABLE, "auto")
    read(tmp_path, mcp_supabase="native")
    assert os.environ[options.PROVIDER_VARIABLE] == "native"


@pytest.mark.parametrize("typed", ["--mcp-clause=EX", "--mcp-strict", "--mcp-report"])
def test_an_option_typed_where_nothing_is_judged_is_refused(tmp_path: Path, typed: str) -> None:
    with pytest.raises(pytest.UsageError, match=f"{typed.partition('=')[0]} needs a store to judge: name one with"):
        options.refuse_without_backend(config(tmp_path, None, ("tests", typed)))


def test_the_same_option_in_addopts_is_none_of_this_run(tmp_path: Path) -> None:
    options.refuse_without_backend(config(tmp_path, None, ("tests", "-k", "mcp"), mcp_clause=["EX"]))


def test_what_is_written_down_a_second_time_is_the_same() -> None:
    """A run that judges nothing loads neither tiers nor stacks, and its help names both."""
    assert tuple(TIERS) == options.TIER_NAMES
    assert ("auto", *providers.PROVIDERS) == options.PROVIDERS
