"""Collect the suite's tests as pytest items: one item per test and backend, independent of the user's settings.

The suite is no argument of pytest: its modules are nodes below the session. So it does not matter where the package is
installed, and what pytest makes of the files there.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_mcp_storage import suite
from pytest_mcp_storage.session.run import Run
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.suite import suite_modules


def suite_nodes(session: pytest.Session, run: Run, ids: Iterable[str] = ()) -> list[SuiteModule]:
    """Return the collectors of the suite. ``ids``: only these tests, if there are any.

    Raises ``pytest.UsageError`` for an id that names no test.
    """
    wanted = tuple(ids)
    nodes = [SuiteModule.of(session, name, run, wanted) for name in suite_modules()]
    gc.freeze()  # what is loaded by now stays: without this each full collection looks through all of it
    there = [id for node in nodes for id in node.ids()]
    if missing := [id for id in wanted if not any(_named(each, id) for each in there)]:
        raise pytest.UsageError(*(f"not found: {id}\n(no such test of the suite in this run)" for id in missing))
    return [node for node in nodes if not wanted or any(id.partition("::")[0] == node.name for id in wanted)]


def suite_module(name: str) -> ModuleType:
    """Import a module of the suite past pytest's import hook: it has no ``assert`` that pytest could rewrite."""
    full = f"{suite.__name__}.{name}"
    if full not in sys.modules:
        spec = PathFinder.find_spec(full, suite.__path__)
        if spec is None or spec.loader is None:
            return import_module(full)
        module = sys.modules[full] = module_from_spec(spec)
        spec.loader.exec_module(module)
        setattr(suite, name, module)
    return sys.modules[full]


class SuiteModule(pytest.Collector):
    """A module of the suite. Its functions become items here, so that the user's naming rules cannot exclude one.

    It is no ``pytest.File``: ``--lf`` skips files without a known failure, and looks for them below rootdir.
    """

    run: Run
    wanted: tuple[str, ...]
    obj: Any

    @classmethod
    def of(cls, session: pytest.Session, name: str, run: Run, wanted: tuple[str, ...]) -> SuiteModule:
        """Return the collector of the module ``name`` of the suite."""
        file = Path(suite.__file__).with_name(f"{name}.py")
        path = next(each for each in (file, *file.parents) if each.exists())  # in a zip file: that file
        node: SuiteModule = cls.from_parent(session, name=file.name, path=path, nodeid=file.name)
        node.run, node.wanted, node.obj = run, wanted, suite_module(name)
        return node

    def ids(self) -> list[str]:
        """Return the node ids of its items."""
        return [id for id, _, _ in self._tests()]

    def collect(self) -> Iterator[pytest.Item]:
        for id, test, backend in self._tests():
            name = id.partition("::")[2]
            # The whole id as text: pytest separates the brackets from the name, and --lf compares it so.
            yield ClauseItem.from_parent(self, name=name, nodeid=id, test=test, backend=backend)

    def _tests(self) -> Iterator[tuple[str, Any, str]]:
        from pytest_mcp_storage.engine.clause_tests import tests_in

        for test in tests_in(self.obj):
            if test.clause in self.run.clauses and test.clause in self.run.options.selected:
                for backend in self.run.options.backends:
                    id = f"{self.nodeid}::{test.name}[{backend}]"
                    if not self.wanted or any(_named(id, each) for each in self.wanted):
                        yield id, test, backend


class ClauseItem(pytest.Item):
    """One test of one clause on one backend.

    It is no ``pytest.Function``, but hooks in the user's ``conftest.py`` treat every item as one. It has no ``obj``:
    Hypothesis' own plugin inspects an item that has one.
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
        if self.config.pluginmanager.has_plugin("allure_pytest"):  # which reads no properties
            self.add_marker(pytest.mark.allure_label(test.clause, backend, label_type="tag"))
        self.user_properties += [("mcp_clause", test.clause), ("mcp_backend", backend)]

    def runtest(self) -> None:
        self.measurement = self.suite_run.measure(self.test, self.backend)

    def reportinfo(self) -> tuple[Path, int, str]:
        line = self.test.body.__code__.co_firstlineno - 1
        return self.path, line, f"{self.test.clause} {self.test.name}[{self.backend}]"


def _named(id: str, wanted: str) -> bool:
    """Say whether ``wanted`` is the id, or that of its module or function."""
    return id == wanted or id.startswith((f"{wanted}::", f"{wanted}["))
