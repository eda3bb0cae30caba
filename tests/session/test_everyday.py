"""Everyday pytest with a backend in the ini file: plain ``pytest`` judges it, and other runs are unaffected."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

STORE = """
from reference_backends import MemoryStorageBackend

async def make():
    return MemoryStorageBackend()
"""
INI = "[pytest]\nmcp_backends = pkg.stores:make\nmcp_tier = smoke\n"
PLAIN = ("-p", "no:randomly", "-p", "no:asyncio")
SMALL = (*PLAIN, "-o", "addopts=--mcp-clause=RT-6")


@pytest.fixture
def repository(pytester: pytest.Pytester) -> pytest.Pytester:
    """Create two tests, one with a store, and a backend that only the root folder leads to."""
    pytester.makeini(INI)
    pytester.mkpydir("pkg").joinpath("stores.py").write_text(STORE)
    pytester.mkdir("tests").joinpath("test_own.py").write_text(
        "def test_plain(): ...\n\ndef test_with_a_store(mcp_backend):\n    assert mcp_backend.generate_session_id()\n"
    )
    return pytester


def run(repository: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return repository.runpytest_subprocess(*arguments)


def test_plain_pytest_judges_what_the_ini_file_names(repository: pytest.Pytester) -> None:
    result = run(repository, *SMALL)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("named", ["tests/test_own.py", "tests/test_own.py::test_with_a_store"])
@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_the_suite_stays_out_if_tests_are_named(
    repository: pytest.Pytester, named: str, workers: tuple[str, ...]
) -> None:
    result = run(repository, *SMALL, *workers, named)
    result.assert_outcomes(passed=1 if "::" in named else 2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["mcp-storage: tests are named, so pkg.stores:make is not judged; add --mcp-*"])
    result.stdout.no_fnmatch_line("*MCP storage conformance*")


@pytest.mark.parametrize("named", ["tests", "."])
def test_a_folder_does_not_put_it_aside(repository: pytest.Pytester, named: str) -> None:
    result = run(repository, *SMALL, named)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["pkg.stores:make: NOT MEASURED (1 passed*"])


def test_paths_in_the_ini_file_put_no_suite_aside(repository: pytest.Pytester) -> None:
    repository.makeini(INI + "addopts = --mcp-clause=RT-6 tests\n")
    result = run(repository, *PLAIN)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["pkg.stores:make: NOT MEASURED (1 passed*"])


@pytest.mark.parametrize("option", ["--mcp-backend=pkg.stores:make", "--mcp-clause=RT-6", "--mcp-report=out.json"])
def test_an_option_of_the_suite_brings_it_back(repository: pytest.Pytester, option: str) -> None:
    result = run(repository, *SMALL, "tests/test_own.py", option)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["pkg.stores:make: NOT MEASURED (1 passed*"])


def test_an_empty_list_of_backends_judges_none(repository: pytest.Pytester) -> None:
    result = run(repository, *PLAIN, "-o", "mcp_backends=", "-k", "plain")
    result.assert_outcomes(passed=1, deselected=1)
    assert result.ret == pytest.ExitCode.OK


def test_the_backend_is_found_from_a_folder_below(repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository.path / "tests")
    result = run(repository, *SMALL)
    result.assert_outcomes(passed=3)


def test_the_options_name_in_the_ini_file_is_refused(repository: pytest.Pytester) -> None:
    repository.makeini("[pytest]\nmcp_backend = memory\n")
    result = run(repository, *PLAIN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: mcp_backend in the ini file: the name there is mcp_backends"])


@pytest.mark.parametrize("question", ["--help", "--version", "--fixtures", "--markers"])
def test_a_wrong_name_hinders_no_question_to_pytest(repository: pytest.Pytester, question: str) -> None:
    repository.makeini("[pytest]\nmcp_backends = pkg.stores:mkae\n")
    assert run(repository, *PLAIN, question).ret == pytest.ExitCode.OK
    assert run(repository, *PLAIN).ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_a_node_id_of_the_summary_can_be_pasted_back(repository: pytest.Pytester, workers: tuple[str, ...]) -> None:
    test = "test_mcp_round_trip.py::test_the_store_shares_nothing_with_its_caller"
    run(repository, *SMALL, "-v").stdout.fnmatch_lines([f"{test}[[]pkg.stores:make] PASSED*"])
    result = run(repository, *PLAIN, *workers, f"{test}[pkg.stores:make]")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["pkg.stores:make: NOT MEASURED (1 passed*"])
