"""What a run with a defect leaves behind: one cause, test files, an annotation, and the failure in pytest's cache."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

STORES = "from pytest_mcp_storage.zoo.mutants.expiry import ServesUntilCleanup as Harness\n"
CLAUSES = "--mcp-clause=EX-2,EX-3"
RUN = ("--mcp-backend=broken_store:Harness", "--mcp-tier=smoke", CLAUSES, "--mcp-no-coverage", "-p", "no:randomly")


@pytest.fixture
def repository(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(broken_store=STORES)
    return pytester


def test_one_defect_is_explained_on_one_screen(repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repository.path / "summary.md"))
    result = repository.runpytest_subprocess(*RUN, "-q", "--mcp-repro=repro", "--mcp-report=r.json")
    result.stdout.fnmatch_lines(["  expected:*", "  returned:*", "  smallest history*", "*1 cause, 2 failed clauses:"])
    result.stdout.fnmatch_lines(["::error *title=*EX-2::*"])
    assert "EX-2" in (repository.path / "summary.md").read_text(encoding="utf-8")
    backend = json.loads((repository.path / "r.json").read_text(encoding="utf-8"))["backends"][0]
    assert [cause["clauses"] for cause in backend["causes"]] == [["EX-2", "EX-3"]]
    command = "from pytest_mcp_storage.cli import main; main()"
    explained = repository.run(sys.executable, "-c", command, "explain", "r.json")
    explained.stdout.fnmatch_lines(["*1 cause, 2 failed clauses", "1. expired sessions are still there (like *"])

    written = sorted(path.name for path in Path(repository.path, "repro").iterdir() if path.suffix == ".py")
    assert written == ["test_broken_store_harness_ex_2.py", "test_broken_store_harness_ex_3.py"]
    assert repository.runpytest_subprocess("repro").parseoutcomes() == {"failed": 2}
    repository.makepyfile(
        broken_store="from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness as Harness\n"
    )
    assert repository.runpytest_subprocess("repro").parseoutcomes() == {"passed": 2}


@pytest.mark.slow
@pytest.mark.parametrize(("options", "most"), [((), 60), (("-q",), 40)])
def test_one_defect_takes_one_screen(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], most: int
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    whole = [option for option in RUN if option != CLAUSES]
    result = repository.runpytest_subprocess(*whole, "--hypothesis-seed=1", *options)
    result.stdout.fnmatch_lines(["*1 cause, * failed clauses:", "*fix EX-2 first*", "note: * -v shows all"])
    assert len(result.outlines) <= most, result.stdout.str()
    sentences = [line for line in result.outlines if line.startswith("  ") and not line.startswith("  reproduce")]
    assert max(map(len, sentences)) <= 80


def test_each_cause_is_shown_once_and_every_failure_with_v(repository: pytest.Pytester) -> None:
    options = (*RUN, "--mcp-clause=EX-3", "--hypothesis-seed=2")
    once = repository.runpytest_subprocess(*options)
    failed = once.parseoutcomes()["failed"]
    assert failed > 1
    assert once.stdout.str().count("  contract: ") == once.stdout.str().count("FAILED ") == 1
    every = repository.runpytest_subprocess(*options, "-v")
    assert every.stdout.str().count("  contract: ") == every.parseoutcomes()["failed"] == failed


def test_a_run_that_passes_takes_one_line_for_each_backend_at_q(repository: pytest.Pytester) -> None:
    options = ("--mcp-backend=memory", "--mcp-backend=sqlite", "--mcp-tier=smoke", "--mcp-clause=LC-2", "-q")
    lines = repository.runpytest_subprocess(*options, "-p", "no:randomly", "--mcp-no-coverage").outlines
    start = next(place for place, line in enumerate(lines) if "MCP storage conformance" in line)
    assert [line.partition(":")[0] for line in lines[start + 1 : -1]] == ["memory", "sqlite"]


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_the_summary_of_a_ci_run_repeats_no_failure(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CI", "true")
    result = repository.runpytest_subprocess(*RUN, *workers, "-v", "--mcp-clause=EX-3", "--junitxml=junit.xml")
    result.stdout.fnmatch_lines(["FAILED *test_mcp_*EX-3 (MUST): *"])
    assert result.stdout.str().count("  contract: ") == result.parseoutcomes()["failed"]
    junit = ElementTree.parse(repository.path / "junit.xml").getroot()
    for failure in junit.iter("failure"):
        assert "\n" not in failure.attrib["message"]
        assert "contract: " in (failure.text or "")


def test_a_failure_is_replayed_first_until_the_store_is_fixed(repository: pytest.Pytester) -> None:
    repository.runpytest_subprocess(*RUN, "--hypothesis-seed=1")
    again = repository.runpytest_subprocess(*RUN, "--hypothesis-seed=2")
    again.stdout.fnmatch_lines(["*the failure of an earlier run, replayed*"])
    repository.makepyfile(
        broken_store="from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness as Harness\n"
    )
    assert repository.runpytest_subprocess(*RUN).ret == 0
    kept = repository.path / ".pytest_cache/v/mcp-storage/failures"
    assert json.loads(kept.read_text(encoding="utf-8")) == {}
