"""What tests of several rooms share."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import coverage.tracer  # noqa: F401  # before pytester forgets modules: a C extension can't be loaded twice
import pytest

from tests.parts import last_lines

ROOT = Path(__file__).parents[1]
NOT_RUN = os.environ.pop("NOT_RUN", "")
"""The file in which ``make test`` collects what its steps did not run."""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built and unpacked; on PYTHONPATH it goes before the checkout, entry points included."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (built,) = folder.glob("*.whl")
    zipfile.ZipFile(built).extractall(folder / "unpacked")
    return folder / "unpacked"


SERVERS = ("stacks", "supabase", "harnesses", "reference_backends/redis", "reference_backends/supabase")
"""Folders whose tests start PostgreSQL, PostgREST or a Redis server."""
NODE = ("bridge",)
"""Folders whose tests run Node.js or npm."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server, Node.js or a process of pytest, so that ``make check`` can leave it out."""
    tests = ROOT / "tests"
    for item in (each for each in items if each.path.is_relative_to(tests)):
        folder = item.path.parent.relative_to(tests).as_posix()
        fixtures = set(getattr(item, "fixturenames", ()))
        if folder.startswith(SERVERS) or {"server", "stack", "valkey", "redis_url"} & fixtures:
            item.add_marker("server")
        if folder.startswith(NODE):
            item.add_marker("npm")
        if {"browser", "open_page"} & fixtures:
            item.add_marker("browser")
        if {"pytester", "wheel"} & fixtures or folder.startswith("zoo"):
            item.add_marker("slow")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count what did not run because this machine lacks a part, for the last lines of the run and of ``make test``."""
    skipped = [
        report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()) if isinstance(report.longrepr, tuple)
    ]
    for line in last_lines(skipped):
        terminalreporter.write_line(line, yellow=True)
        if NOT_RUN:
            with Path(NOT_RUN).open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
