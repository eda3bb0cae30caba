"""The tests of the contract: up to three modules for each clause group, one function for each statement."""

from __future__ import annotations

import functools
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.clause_tests import ClauseTest

HARNESS = "test_mcp_harness"
"""Judges the harness itself, and comes first: a fault in it shows in every other module."""
PREFIX = "test_mcp_"
"""How the names of the suite's modules begin."""


@functools.cache
def suite_modules() -> tuple[str, ...]:
    """Return the names of the suite's modules, without the package's."""
    found = pkgutil.iter_modules(__path__)  # a zip file cannot be listed as a folder
    names = [module.name for module in found if module.name.startswith(PREFIX)]
    return tuple(sorted(names, key=lambda name: (name != HARNESS, name)))


def suite_files() -> list[str]:
    """Return the paths of the suite's modules."""
    return [str(Path(__file__).with_name(f"{name}.py")) for name in suite_modules()]


def suite_tests() -> dict[str, ClauseTest]:
    """Return every test of the suite, by name. This loads all of its modules."""
    from pytest_mcp_storage.engine.clause_tests import tests_in

    modules = [import_module(f"{__name__}.{name}") for name in suite_modules()]
    return {test.name: test for module in modules for test in tests_in(module)}
