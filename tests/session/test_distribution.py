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
