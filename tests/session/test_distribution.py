"""With more backends than workers of xdist, each backend is judged by one worker."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

pytest_plugins = ["pytester"]

OPTIONS = ("-v", "-p", "no:randomly", "-p", "no:cacheprovider", "--mcp-tier=smoke", "--mcp-clause=LC-2,LC-5")


def workers(pytester: pytest.Pytester, *options: str) -> dict[str, set[str]]:
    """Return the workers that judged each backend."""
    pytester.makepyfile(test_own="import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_own(n): pass\n")
    done = pytester.runpytest_subprocess(*OPTIONS, *options)
    assert done.ret == 0
    found = defaultdict(set)
    for line in done.outlines:
        if ran := re.match(r"\[(gw\d)\] .*(?:\[(memory|sqlite|file)\]|test_own\.py)", line):
            found[ran[2] or "own tests"].add(ran[1])
    return found


def test_each_backend_has_one_worker(pytester: pytest.Pytester) -> None:
    found = workers(pytester, "-n2", "--mcp-backend=memory", "--mcp-backend=sqlite", "--mcp-backend=file")
    assert found.keys() == {"memory", "sqlite", "file", "own tests"}
    assert {len(each) for each in found.values()} == {1}


def test_one_backend_is_spread_over_the_workers(pytester: pytest.Pytester) -> None:
    assert workers(pytester, "-n2", "--mcp-backend=memory")["memory"] == {"gw0", "gw1"}


@pytest.mark.parametrize("option", ["--mcp-workers=auto", "--mcp-workers=2"])
def test_mcp_workers_starts_workers(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
    assert workers(pytester, option, "--mcp-backend=sqlite")["sqlite"] == {"gw0", "gw1"}


@pytest.mark.parametrize("options", [("--mcp-workers=auto",), ("--mcp-workers=1",), ("--mcp-workers=2", "-n0")])
def test_one_process(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    assert not workers(pytester, *options, "--mcp-backend=memory")


def test_a_run_that_judges_nothing_has_no_workers(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = --mcp-workers=2")
    pytester.makepyfile("def test_own(): pass")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").stdout.no_fnmatch_line("*2 workers*")


def test_without_xdist_it_says_what_to_install(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_subprocess("-p", "no:xdist", "--mcp-workers=2", "--mcp-backend=memory")
    done.stderr.fnmatch_lines(["ERROR: --mcp-workers needs pytest-xdist: pip install pytest-xdist"])
    assert done.ret == pytest.ExitCode.USAGE_ERROR


def test_a_number_that_is_none(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_subprocess("--mcp-workers=0", "--mcp-backend=memory")
    done.stderr.fnmatch_lines(["*--mcp-workers: '0' is neither auto nor a number from 1 on"])
