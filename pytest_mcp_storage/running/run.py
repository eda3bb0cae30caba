"""One process's part of a run: the benches of the backends that were asked for, and the measuring upon them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mcp_storage.harness import NotMeasurable
from pytest_mcp_storage.measuring.loop import SuiteLoop, patched_by
from pytest_mcp_storage.outcome import Measurement, Outcome
from pytest_mcp_storage.running.backends import MakeHarness, described, resolve
from pytest_mcp_storage.running.options import Options

if TYPE_CHECKING:
    from pytest_mcp_storage.measuring.bench import Bench
    from pytest_mcp_storage.measuring.measure import ClauseTest

PATCHED = (
    "{0} has replaced Python's threads, and the suite needs real ones. Run it in a process that does not call "
    "{0}'s monkey patching: without the conftest.py, plugin or import that does so"
)


class Run:
    """Options, harness makers by backend name, and the benches that have been provisioned so far."""

    def __init__(
        self, options: Options, folders: Sequence[Path], say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.options = options
        self._say = say
        self.makers: dict[str, MakeHarness] = {name: resolve(name, *folders) for name in options.backends}
        self.clauses = {clause.id: clause for clause in options.clauses}
        self._benches: dict[str, Bench] = {}
        self._refusals: dict[str, str] = {}
        self._origins: dict[str, tuple[str, str]] = {}
        self._loop: SuiteLoop | None = None

    @property
    def loop(self) -> SuiteLoop:
        """The suite's event loop, started when it is first needed."""
        if self._loop is None:
            self._loop = SuiteLoop()
        return self._loop

    def measure(self, test: ClauseTest, backend: str) -> Measurement:
        """Measure one test on one backend; a backend that can't be provisioned measures nothing."""
        from pytest_mcp_storage.measuring.measure import measure

        clause = self.clauses[test.clause]
        if backend in self._refusals:
            return Measurement(clause.id, test.name, Outcome.NOT_MEASURED, self._refusals[backend])
        try:
            bench = self._bench(backend)
        except NotMeasurable as error:
            self._refusals[backend] = error.reason
            return Measurement(clause.id, test.name, Outcome.NOT_MEASURED, error.reason)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pytest.skip() too: a backend that was asked for is never skipped
            if isinstance(error, pytest.fail.Exception):  # by a signal: what the harness raises is contained
                why = f"the run's own timeout ended the test while {backend!r} was opened: {error}"
            else:
                why = f"backend {backend!r} can't be opened: {type(error).__name__}: {error}"
            self._refusals[backend] = why
            from pytest_mcp_storage.measuring.places import traceback_of

            fault = traceback_of(error)
            return Measurement(clause.id, test.name, Outcome.NOT_MEASURED, self._refusals[backend], fault=fault)
        options = self.options
        measured = measure(test, clause, bench, options.tier, options.seed, destructive=options.destructive)
        if bench.hung:
            self._refusals[backend] = f"the store hung after {test.name}, and was not asked again"
        return measured

    def describe(self, backend: str) -> dict[str, object]:
        """What a report says of a backend: harness, version and capabilities."""
        if backend not in self._benches:
            return {"name": backend, "harness": "", "version": "unknown", "capabilities": []}
        harness = self._benches[backend].harness
        source, release = self._origins.get(backend) or self._origins.setdefault(backend, described(harness))
        capabilities = sorted(each.name for each in harness.capabilities)
        return {"name": backend, "harness": source, "version": release, "capabilities": capabilities,
                "title": harness.name}  # fmt: skip

    def close(self) -> list[str]:
        """Destroy every store that was provisioned. What was not destroyed, in words."""
        problems = []
        for bench in self._benches.values():
            try:
                bench.stop()
            except (Exception, KeyboardInterrupt) as error:  # Ctrl-C again: the report is written all the same
                told = f"{type(error).__name__}: {error}".removesuffix(": ")
                problems.append(f"the store of {bench.name} was not destroyed: {told}")
        self._benches.clear()
        if self._loop is not None:
            with suppress(KeyboardInterrupt):
                self._loop.close()
            self._loop = None
        return problems

    def _bench(self, backend: str) -> Bench:
        from pytest_mcp_storage.measuring.bench import Bench

        if backend not in self._benches:
            if library := patched_by():
                raise NotMeasurable(PATCHED.format(library))
            bench = Bench(backend, self.makers[backend], self.loop)
            with announced(self._say):
                bench.start()
            self._benches[backend] = bench
        return self._benches[backend]


class _Saying(logging.Handler):
    """Hands each record's message on."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


@contextmanager
def announced(say: Callable[[str], None]) -> Iterator[None]:
    """Pass on what the plugin's logger tells meanwhile: a server takes a while to start, and one wants to know."""
    logger = logging.getLogger("pytest_mcp_storage")
    handler = _Saying(say)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
