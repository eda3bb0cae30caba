"""An installed wheel gives the same results as the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-P", "-m", "pytest", "--mcp-backend=sqlite", "--mcp-tier=smoke", "--hypothesis-seed=0",
           "--mcp-clause=RT,LC,DU"]  # fmt: skip
"""The clauses also start worker processes, and read data files of the package."""


def outcomes(folder: Path, python_path: str) -> dict[str, str]:
    """Return the outcome of each clause, of a run in an empty folder."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": python_path}
    options = ["--mcp-report=out.json", "-p", "no:cacheprovider", "-p", "no:randomly", "-q"]
    done = subprocess.run(
        [*COMMAND, *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (backend,) = json.loads((folder / "out.json").read_text())["backends"]
    return {row["id"]: row["outcome"] for row in backend["clauses"]}


def test_the_wheel_judges_as_the_checkout_does(wheel: Path, tmp_path: Path) -> None:
    assert outcomes(tmp_path / "wheel", str(wheel)) == outcomes(tmp_path / "checkout", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["clauses", "EX-2"], "EX-2"),
        (["key"], ""),
        (["zoo", "FindsByIdAlone", "--jobs=1"], "1 of 1 broken stores killed"),
    ],
)
def test_the_commands_work_from_the_wheel(wheel: Path, tmp_path: Path, words: list[str], said: str) -> None:
    code = f"from pytest_mcp_storage import cli; print(cli.__file__); cli.main({words!r})"
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(wheel))
    assert said in done.stdout
