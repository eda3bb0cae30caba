"""The tests of the contract: up to three modules for each clause group, one function for each statement."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.clause_test import ClauseTest


def suite_tests() -> dict[str, ClauseTest]:
    """Return every test of the suite, by name."""
    from pytest_mcp_storage.engine.clause_test import tests_in
    from pytest_mcp_storage.session.suite_paths import suite_files

    names = [path.rpartition("/")[2].removesuffix(".py") for path in suite_files()]
    modules = [import_module(f"pytest_mcp_storage.suite.{name}") for name in names]
    return {test.name: test for module in modules for test in tests_in(module)}
