"""A judging run, from its first hook to its exit code: how it may end, and what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage import load_clauses

pytest_plugins = ["pytester"]

STORES = """
import pytest
from pytest_mcp_storage import BackendHarness, NotMeasurable
from reference_backends import MemoryStorageBackend

class Kept(BackendHarness):
    async def open(self, **options):
        store = self.store()
        await store.init()
        return store

    def store(self):
        return MemoryStorageBackend()

class Forgetful(Kept):
    class Store(MemoryStorageBackend):
        async def remove_session(self, identity, session_id): ...
    store = Store

class Undestroyed(Kept):
    async def __aexit__(self, *exc):
        raise OSError("the server is gone")

class Skipping(Kept):
    async def __aenter__(self):
        pytest.skip("no server today")

class Built(Kept):
    def __init__(self):
        pytest.skip("no library today")

class Unseen(Kept):
    async def __aenter__(self):
        raise NotMeasurable("the licence has run out")

class Sealed(Kept):
    async def open(self, **options):
        raise NotMeasurable("nobody is let in")
"""

CLAUSES = ("LC-2", "LC-8")
ITEMS = sum(len(clause.tests) for clause in load_clauses() if clause.id in CLAUSES)


@pytest.fixture
def repository(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(some_stores=STORES)
    return pytester


def arguments(store: str, *more: str) -> tuple[str, ...]:
    """Return the command line that judges a store by two clauses."""
    name = store if store.islower() else f"some_stores:{store}"
    plain = ("-p", "no:randomly", "-p", "no:asyncio", "--mcp-tier=smoke", "--mcp-report=out.json")
    return (*plain, f"--mcp-backend={name}", f"--mcp-clause={','.join(CLAUSES)}", *more)


def run(pytester: pytest.Pytester, store: str, *more: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*arguments(store, *more))


def report(pytester: pytest.Pytester) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pytester.path.joinpath("out.json").read_text())
    return found


def rows(pytester: pytest.Pytester) -> dict[str, tuple[str, str]]:
    """Return outcome and message of the selected clauses."""
    (backend,) = report(pytester)["backends"]
    return {row["id"]: (row["outcome"], row["message"]) for row in backend["clauses"] if row["id"] in CLAUSES}


DID_NOT_RUN = ("not_measured", "it did not run: deselected, interrupted or not collected")


def test_a_run_that_passes_and_every_clause_in_its_report(repository: pytest.Pytester) -> None:
    result = run(repository, "Kept")
    result.assert_outcomes(passed=ITEMS)
    assert result.ret == pytest.ExitCode.OK
    assert {outcome for outcome, _ in rows(repository).values()} == {"passed"}
    found = report(repository)
    assert found["problems"] == []
    assert set(found) >= {"suite", "revision", "tier", "seed", "backends"}
    (backend,) = found["backends"]
    assert set(backend) >= {"name", "harness", "version", "capabilities", "verdict", "clauses"}
    assert (backend["name"], backend["harness"], backend["verdict"]) == (
        "some_stores:Kept", "some_stores:Kept", "not_measured",
    )  # fmt: skip
    assert [row["id"] for row in backend["clauses"]] == [clause.id for clause in load_clauses()]
    for row in backend["clauses"]:
        assert set(row) >= {"id", "level", "outcome", "examples", "seconds", "message", "reproduce"}


# -- stores that are not to be had -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("Skipping", "backend 'some_stores:Skipping' can't be opened: RuntimeError: Skipped: no server today"),
        ("Built", "backend 'some_stores:Built' can't be opened: Skipped: no library today"),
    ],
)
def test_a_store_that_was_asked_for_is_never_skipped(repository: pytest.Pytester, store: str, reason: str) -> None:
    result = run(repository, store)
    result.stdout.fnmatch_lines([f"*= 1 failed, {ITEMS - 1} not measured in *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert set(rows(repository).values()) == {("not_measured", reason)}


@pytest.mark.parametrize(("store", "reason"), [("Unseen", "the licence has run out"), ("Sealed", "nobody is let in")])
def test_a_harness_that_cannot_look_gives_its_reason(repository: pytest.Pytester, store: str, reason: str) -> None:
    result = run(repository, store)
    result.stdout.fnmatch_lines([f"*= {ITEMS} not measured in *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert set(rows(repository).values()) == {("not_measured", reason)}


@pytest.mark.parametrize("more", [(), ("-W", "error")])
def test_a_store_that_is_left_behind_fails_the_run(repository: pytest.Pytester, more: tuple[str, ...]) -> None:
    result = run(repository, "Undestroyed", *more)
    result.assert_outcomes(passed=ITEMS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    problem = "the store of some_stores:Undestroyed was not destroyed: OSError: the server is gone"
    assert report(repository)["problems"] == [problem]
    assert problem in " ".join(result.stdout.str().split())


def test_a_store_that_a_worker_leaves_behind_fails_the_run(repository: pytest.Pytester) -> None:
    result = run(repository, "Undestroyed", "-n1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(report(repository)["problems"]) == 1


# -- runs that end early ---------------------------------------------------------------------------------------------


def test_what_a_stopped_run_did_not_reach_is_not_measured(repository: pytest.Pytester) -> None:
    repository.makepyfile(test_own="def test_own():\n    raise LookupError\n")
    result = run(repository, "Kept", "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert set(rows(repository).values()) == {DID_NOT_RUN}


def test_an_interrupted_run_reports_what_it_saw(repository: pytest.Pytester) -> None:
    repository.makepyfile(test_own="def test_own():\n    raise KeyboardInterrupt\n")
    result = repository.runpytest_subprocess(*arguments("Kept"))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert set(rows(repository).values()) == {DID_NOT_RUN}
    result.stdout.fnmatch_lines(["some_stores:Kept: NOT MEASURED*"])


def test_a_collection_alone_judges_nothing(repository: pytest.Pytester) -> None:
    result = run(repository, "Kept", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    assert not repository.path.joinpath("out.json").exists()
    result.stdout.fnmatch_lines(["test_mcp_life_cycle.py::*[[]some_stores:Kept[]]"])


def test_a_users_own_failure_fails_the_run_and_not_the_store(repository: pytest.Pytester) -> None:
    repository.makepyfile(test_own="def test_own():\n    raise LookupError\n")
    result = run(repository, "Kept")
    result.assert_outcomes(passed=ITEMS, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {outcome for outcome, _ in rows(repository).values()} == {"passed"}


def test_only_what_failed_last_runs_again(repository: pytest.Pytester) -> None:
    failed = run(repository, "Forgetful").parseoutcomes()["failed"]
    result = run(repository, "Forgetful", "--lf")
    result.assert_outcomes(failed=failed, deselected=ITEMS - failed)
    assert rows(repository)["LC-2"] == DID_NOT_RUN
    assert rows(repository)["LC-8"][0] == "failed"


@pytest.mark.parametrize("own", ["test_own.py", "test_own.py::test_own"])
def test_the_suite_runs_with_the_tests_that_are_named(repository: pytest.Pytester, own: str) -> None:
    repository.makepyfile(test_own="def test_own(): ...\n", test_other="def test_other(): ...\n")
    result = run(repository, "Kept", own)
    result.assert_outcomes(passed=ITEMS + 1)
    assert result.ret == pytest.ExitCode.OK


CURIOUS = """
def pytest_collection_modifyitems(items):
    for item in items:
        assert item.function.__name__ == item.originalname
        assert item.module.__name__
        assert (item.cls, item.instance) == (None, None)
        assert "tmp_path" not in item.fixturenames

def pytest_runtest_setup(item):
    assert item.funcargs.get("tmp_path") is None
"""


def test_hooks_that_read_items_as_functions_find_what_they_look_for(repository: pytest.Pytester) -> None:
    repository.makeconftest(CURIOUS)
    result = run(repository, "Kept")
    result.assert_outcomes(passed=ITEMS)
    assert result.ret == pytest.ExitCode.OK


def test_a_deviation_of_a_backend_that_is_not_judged_is_mentioned(repository: pytest.Pytester) -> None:
    repository.path.joinpath("known.yaml").write_text("- {clause: LC-2, reason: r, backend: some_stores:Ketp}\n")
    result = run(repository, "Kept", "--mcp-deviations=known.yaml")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["note: known.yaml:1 names backend 'some_stores:Ketp', which this run does not *"])


# -- what is written -------------------------------------------------------------------------------------------------


def test_reports_of_every_kind_in_one_run(repository: pytest.Pytester) -> None:
    names = ["out.json", "out.html", "out.md", "out.svg"]
    result = run(repository, "Kept", *(f"--mcp-report={name}" for name in names))
    begins = {"out.json": "{", "out.html": "<!", "out.md": "###", "out.svg": "<svg"}
    for name in names:
        assert repository.path.joinpath(name).read_text().startswith(begins[name])
    assert [Path(line.partition(": ")[2]).name for line in result.outlines if line.startswith("report: ")] == names


def test_a_report_that_could_not_be_written_after_all_is_not_announced(repository: pytest.Pytester) -> None:
    repository.makepyfile(test_own="import pathlib\n\ndef test_own():\n    pathlib.Path('late.json').mkdir()\n")
    result = run(repository, "Kept", "--mcp-report=late.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    announced = [Path(line.partition(": ")[2]).name for line in result.outlines if line.startswith("report: ")]
    assert announced == ["out.json"]
    assert "late.json can't be written: Is a directory" in " ".join(result.stdout.str().split())


def test_a_backend_that_an_installed_package_registers(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository.mkdir("installed")
    folder.joinpath("theirs_store.py").write_text(STORES)
    about = folder / "theirs-1.2.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    about.joinpath("top_level.txt").write_text("theirs_store\n")
    about.joinpath("entry_points.txt").write_text("[pytest_mcp_storage.backends]\ntheirs = theirs_store:Kept\n")
    monkeypatch.syspath_prepend(str(folder))
    result = run(repository, "theirs")
    assert result.ret == pytest.ExitCode.OK
    (backend,) = report(repository)["backends"]
    assert (backend["name"], backend["harness"], backend["version"]) == ("theirs", "theirs_store:Kept", "1.2")


def test_an_option_without_a_store_is_refused(repository: pytest.Pytester) -> None:
    repository.makepyfile(test_own="def test_own(): ...\n")
    result = repository.runpytest_inprocess("-p", "no:randomly", "--mcp-report=out.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mcp-report needs a store to judge: name one with --mcp-backend*"])
