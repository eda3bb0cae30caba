"""The suite's tests as pytest items: an item a test and backend, independent of the user's settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.session.run import Run
from pytest_mcp_storage.spec.outcome import Measurement

SUITE = Path(__file__).parents[1] / "suite"


def suite_files() -> list[str]:
    """The files that a run which judges a backend collects, beside whatever else it collects."""
    return [str(path) for path in sorted(SUITE.glob("test_mcp_*.py"))]


def located(argument: str) -> str:
    """``argument``, with the suite's folder before it where it is one of the suite's node ids.

    They begin with a bare file name, and people paste them from pytest's summary; editors send them back.
    """
    file, colons, _ = argument.partition("::")
    ours = colons and not Path(file).exists() and str(SUITE / file) in suite_files()
    return str(SUITE / argument) if ours else argument


class SuiteModule(pytest.Module):
    """A module of the suite. Its functions become items here, so that no naming rule of the user's can lose one."""

    run: Run

    def collect(self) -> Iterator[pytest.Item]:
        from pytest_mcp_storage.engine.clause_test import tests_in

        for test in tests_in(self.obj):
            if test.clause in self.run.clauses and test.clause in self.run.options.selected:
                for backend in self.run.options.backends:
                    name = f"{test.name}[{backend}]"
                    # The whole id as text: pytest parts the brackets from the name, and --lf looks for it so.
                    id = f"{self.nodeid}::{name}"
                    yield ClauseItem.from_parent(self, name=name, nodeid=id, test=test, backend=backend)


class ClauseItem(pytest.Item):
    """One test of one clause on one backend.

    It is no ``pytest.Function``, but hooks in people's ``conftest.py`` read every item as if it were one. It has no
    ``obj``: Hypothesis' own plugin looks into an item that has.
    """

    cls = instance = None

    def __init__(self, *, test: Any, backend: str, **options: Any) -> None:
        super().__init__(**options)
        assert isinstance(self.parent, SuiteModule)
        self.module, self.suite_run = self.parent.obj, self.parent.run
        self.test = test
        self.backend = backend
        self.function, self.originalname = test.body, test.name
        self.fixturenames: list[str] = []
        self.funcargs: dict[str, Any] = {}
        self.measurement: Measurement | None = None
        self.add_marker(pytest.mark.mcp_conformance(test.clause))
        self.extra_keyword_matches |= {test.clause, test.clause.partition("-")[0], backend}
        self.user_properties += [("mcp_clause", test.clause), ("mcp_backend", backend)]

    def runtest(self) -> None:
        self.measurement = self.suite_run.measure(self.test, self.backend)

    def reportinfo(self) -> tuple[Path, int, str]:
        line = self.test.body.__code__.co_firstlineno - 1
        return self.path, line, f"{self.test.clause} {self.test.name}[{self.backend}]"
