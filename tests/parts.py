"""Parts of a machine that some tests need: how each is found, and what installs it if it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import playwright
import pytest

ROOT = Path(__file__).parents[1]
NOT_HERE = "not on this machine: "
"""Begins the reason of each test that was skipped because a part is missing; the run's last lines count them."""
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OWN_CHROMIUM = ROOT / "build" / "chromium" / "run"
"""The Chromium that ``make test`` takes from npm if the system has none."""


@dataclass(frozen=True)
class Part:
    """A part: its name, the kind of tests that need it, what finds it, and what installs it."""

    name: str
    tests: str
    find: Callable[[], str | None]
    install: str

    def require(self) -> str:
        """Return where the part is. If it is missing, skip the test, or fail it if ``CI`` is set."""
        return self.find() or missing(self.tests, f"no {self.name}", self.install)


def missing(tests: str, why: str, enable: str) -> NoReturn:
    """End a test that lacks a part: as a failure if ``CI`` is set, since the CI machine must have it."""
    if os.environ.get("CI"):
        pytest.fail(f"{why}; the CI machine must have it: {enable}")
    not_here(tests, why, enable)


def not_here(tests: str, why: str, enable: str) -> NoReturn:
    """Skip a test that this machine can't run, and that the CI machine need not run.

    ``tests`` is their kind, and ``enable`` what to do so that they run: both are shown in the last lines of the run.
    """
    pytest.skip(f"{NOT_HERE}{tests} tests ({why}). To run them: {enable}")


def last_lines(reasons: Iterable[str]) -> list[str]:
    """Return a line for each part that is missing: how many tests did not run, and what enables them."""
    counts: dict[str, int] = {}
    for reason in reasons:
        _, found, part = reason.partition(NOT_HERE)
        if found:
            counts[part] = counts.get(part, 0) + 1
    return [f"Not run on this machine: {count} {part}" for part, count in counts.items()]


def browser_program() -> str:
    """Return Chromium's program, for Playwright; skip the test if one of the two can't run.

    Playwright's driver contains a Node.js that needs libatomic1. Without it, the driver runs on the system's Node.js.
    """
    program = CHROMIUM.require()
    driver = Path(playwright.__file__).parent / "driver"
    for node in (os.environ.get("PLAYWRIGHT_NODEJS_PATH"), str(driver / "node"), shutil.which("node")):
        command = [str(node), str(driver / "package" / "cli.js"), "--version"]
        if node and subprocess.run(command, capture_output=True, check=False).returncode == 0:
            os.environ["PLAYWRIGHT_NODEJS_PATH"] = node
            return program
    missing("browser", "no libatomic1, and no Node.js 20", "apt-get install libatomic1, as root")


def _chromium() -> str | None:
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    return found or (str(OWN_CHROMIUM) if OWN_CHROMIUM.is_file() else None)


CHROMIUM = Part("Chromium", "browser", _chromium, "apt-get install chromium, as root; or make parts, as another user")
NPM = Part("npm", "npm", lambda: shutil.which("npm"), "apt-get install nodejs npm")
