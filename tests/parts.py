"""Parts of a machine that some tests need: how each is found, and what installs it where it is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[1]
NOT_HERE = "not on this machine: "
"""Begins the reason of each test that was skipped because a part is missing; the run's last lines count them."""
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OWN_CHROMIUM = ROOT / "build" / "chromium" / "run"
"""The Chromium that ``make test`` takes from npm if the system has none."""


@dataclass(frozen=True)
class Part:
    """A part: its name, what finds it, and the command that installs it."""

    name: str
    find: Callable[[], str | None]
    install: str

    def require(self) -> str:
        """Return where the part is. If it is missing, skip the test, or fail it if ``CI`` is set."""
        return self.find() or missing(f"{self.name} ({self.install})")


def missing(what: str) -> NoReturn:
    """End a test that lacks a part: as a failure if ``CI`` is set, since the CI machine must have it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing; the CI machine must have it")
    pytest.skip(f"{NOT_HERE}{what}")


def _chromium() -> str | None:
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    return found or (str(OWN_CHROMIUM) if OWN_CHROMIUM.is_file() else None)


CHROMIUM = Part("Chromium", _chromium, "as root: apt-get install chromium; else: make parts")
NPM = Part("npm", lambda: shutil.which("npm"), "apt-get install nodejs npm")
