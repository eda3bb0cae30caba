"""The suite and the repository's own tests are both collected, in every place of installation."""

from __future__ import annotations

import ast
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("pytest_mcp_storage", "reference_backends")
QUICK = ("-p", "no:randomly", "-p", "no:asyncio", "-p", "no:sugar", "--mcp-backend=memory", "--mcp-tier=smoke",
         "--mcp-clause=RT-2", "--mcp-report=out.json")  # fmt: skip
OWN = "def test_good(): ...\n\ndef test_bad():\n    raise LookupError\n"
IDENTITY = "test_mcp_round_trip.py::test_absent_empty_false_and_none_stay_apart"


def copied(folder: Path) -> Path:
    """Copy the packages into the folder, as an installer would."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*-pytest-*.pyc", "node_modules"))
    return folder


def in_a_virtual_environment(repository: Path) -> Path:
    environment = repository / ".venv"
    environment.mkdir()
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (environment / "bin").mkdir()
    (environment / "bin" / "activate").touch()
    return copied(environment / "lib" / "python3" / "site-packages")


def linked(repository: Path) -> Path:
    (repository / "vendored").symlink_to(copied(repository.parent / f"{repository.name}-elsewhere"))
    return repository / "vendored"


def zipped(repository: Path) -> Path:
    archive = repository / "packages.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in PACKAGES:
            for path in (ROOT / name).rglob("*"):
                if path.suffix in (".py", ".yaml"):
                    file.write(path, path.relative_to(ROOT))
    return archive


PLACES: dict[str, Callable[[Path], Path]] = {
    "below rootdir": lambda repository: copied(repository / "vendored"),
    "among the tests": lambda repository: copied(repository / "tests" / "vendored"),
    "in .venv": in_a_virtual_environment,
    "in a folder that is not searched": lambda repository: copied(repository / "venv"),
    "outside": lambda repository: copied(repository.parent / f"{repository.name}-outside"),
    "behind a symbolic link": linked,
    "in a zip file": zipped,
    "in the checkout": lambda _: ROOT,
}


@pytest.fixture
def repository(pytester: pytest.Pytester) -> pytest.Pytester:
    tests = pytester.mkdir("tests")
    (tests / "test_own.py").write_text(OWN)
    return pytester


def check(repository: pytest.Pytester, *options: str) -> None:
    """Run pytest and expect one own test that passes, one that fails, and the clause."""
    result = repository.runpytest_subprocess("-p", "no:cacheprovider", *QUICK, *options)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*test_own.py::test_bad*"])
    assert outcome(repository) == "passed"


def outcome(repository: pytest.Pytester) -> str:
    (backend,) = json.loads((repository.path / "out.json").read_text())["backends"]
    return next(str(row["outcome"]) for row in backend["clauses"] if row["id"] == "RT-2")


@pytest.mark.parametrize("place", PLACES)
def test_the_place_of_the_package_does_not_matter(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PLACES[place](repository.path)))
    check(repository)


OPTIONS: dict[str, tuple[str, ...]] = {
    "the root named": (".",),
    "the tests named": ("tests", "-o", "testpaths=vendored", "--import-mode=append"),
    "two workers": ("-n2", "--dist=loadfile", "--import-mode=importlib"),
    "ignored": ("--ignore=vendored", "--ignore-glob=*mcp*", "-o", "norecursedirs=vendored", "--confcutdir=tests"),
    "everything searched": ("-o", "norecursedirs=", "--collect-in-virtualenv", "-o", "python_files=test_*.py"),
    "duplicates kept": ("--keep-duplicates", "--import-mode=prepend", "--rootdir=tests"),
    "doctests": ("--doctest-modules", "vendored/pytest_mcp_storage/suite", "tests"),
    "a package": ("--pyargs", "pytest_mcp_storage.suite", "tests"),
}


@pytest.mark.parametrize("way", OPTIONS)
def test_options_of_collection_do_not_matter(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(copied(repository.path / "vendored")))
    check(repository, *OPTIONS[way])


@pytest.mark.parametrize(
    "conftest",
    [
        "collect_ignore = ['vendored']\ncollect_ignore_glob = ['vendored/*', '*mcp*']",
        "def pytest_ignore_collect(collection_path):\n    return 'vendored' in str(collection_path) or None",
        "def pytest_collect_file(file_path, parent):\n    assert 'test_mcp_' not in file_path.name",
    ],
)
def test_a_conftest_above_the_package_does_not_matter(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, conftest: str
) -> None:
    repository.makeconftest(conftest)
    monkeypatch.setenv("PYTHONPATH", str(copied(repository.path / "vendored")))
    check(repository)


def test_own_tests_of_a_package_that_pyargs_names_do_not_put_the_suite_aside(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository.path / "tests" / "__init__.py").touch()
    repository.makeini("[pytest]\nmcp_backends = memory\naddopts = --mcp-clause=RT-2 --mcp-report=out.json\n")
    monkeypatch.setenv("PYTHONPATH", str(repository.path))
    result = repository.runpytest_subprocess("-p", "no:randomly", "-p", "no:asyncio", "--pyargs", "tests")
    result.assert_outcomes(passed=2, failed=1)
    assert outcome(repository) == "passed"


def test_without_a_store_the_modules_of_the_suite_are_no_tests(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(copied(repository.path / "vendored")))
    result = repository.runpytest_subprocess("-p", "no:randomly", "-p", "no:asyncio", "tests", "vendored")
    result.assert_outcomes(passed=1, failed=1)


# -- tests of the suite that are named -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named",
    [
        (IDENTITY,),
        (f"{IDENTITY}[memory]", "-n1"),
        ("test_mcp_round_trip.py",),
        (f"../elsewhere/pytest_mcp_storage/suite/{IDENTITY}",),
    ],
)
def test_only_the_tests_that_are_named_run(
    repository: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...]
) -> None:
    if ".." in named[0]:
        monkeypatch.setenv("PYTHONPATH", str(copied(repository.path.parent / "elsewhere")))
    result = repository.runpytest_subprocess("-p", "no:cacheprovider", *QUICK, "--rootdir=.", *named)
    result.assert_outcomes(passed=1)
    assert outcome(repository) == "passed"


def test_the_name_of_a_module_of_the_suite_can_be_given_with_pyargs(repository: pytest.Pytester) -> None:
    result = repository.runpytest_subprocess(
        *QUICK, "--pyargs", f"pytest_mcp_storage.suite.{IDENTITY.replace('.py', '')}"
    )
    result.assert_outcomes(passed=1)


def test_tests_of_the_suite_and_own_ones_can_be_named_together(repository: pytest.Pytester) -> None:
    result = repository.runpytest_subprocess(*QUICK, IDENTITY, "tests/test_own.py::test_good")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "named", ["test_mcp_round_trip.py::test_nothing", f"{IDENTITY}[sqlite]", "test_mcp_nothing.py::a"]
)
def test_a_test_of_the_suite_that_does_not_exist_is_refused(repository: pytest.Pytester, named: str) -> None:
    result = repository.runpytest_subprocess(*QUICK, named)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *not found: *"])


def test_a_file_of_the_users_with_the_name_of_one_of_the_suite(repository: pytest.Pytester) -> None:
    repository.makepyfile(test_mcp_round_trip="def test_mine(): ...\n")
    result = repository.runpytest_subprocess(*QUICK, "test_mcp_round_trip.py::test_mine")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK


# -- failures that are run again -------------------------------------------------------------------------------------


def test_failed_clauses_run_again_with_a_failed_test_of_the_user(repository: pytest.Pytester) -> None:
    repository.makepyfile(
        forgetful="""
        from reference_backends import MemoryStorageBackend

        class Forgetful(MemoryStorageBackend):
            async def get_session(self, identity, session_id):
                return None
        """
    )
    options = ("-p", "no:randomly", "-p", "no:asyncio", "--mcp-backend=forgetful:Forgetful", "--mcp-tier=smoke")
    first = repository.runpytest_subprocess(*options, "--mcp-clause=RT-1").parseoutcomes()["failed"]
    assert first > 1
    result = repository.runpytest_subprocess(*options, "--mcp-clause=RT-1", "--lf")
    assert result.parseoutcomes()["failed"] == first


def test_a_module_of_the_suite_has_no_assertion_to_rewrite() -> None:
    """The suite is imported past pytest's import hook; an ``assert`` would show no values."""
    with_assert = [
        path.name
        for path in (ROOT / "pytest_mcp_storage/suite").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert with_assert == []


def test_pytest_does_not_rewrite_the_suite(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import gc
        from _pytest.assertion.rewrite import AssertionRewritingHook

        rewritten = []

        def pytest_configure():
            exec_module = AssertionRewritingHook.exec_module

            def noting(self, module):
                rewritten.append(module.__name__)
                exec_module(self, module)

            AssertionRewritingHook.exec_module = noting

        def pytest_unconfigure():
            print("rewritten:", [name for name in rewritten if ".suite." in name])
            print("frozen:", gc.get_freeze_count())
    """)
    done = pytester.runpytest_subprocess("--mcp-backend=memory", "--mcp-clause=RT-3", "--mcp-tier=smoke", "-s")
    done.stdout.fnmatch_lines(["rewritten: []", "frozen: 0"])
