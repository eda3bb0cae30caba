"""One process's part of a run: the environments of the backends, and the measurements on them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

import pytest

from pytest_mcp_storage.engine.harness_checks import UnfitError
from pytest_mcp_storage.engine.loop import SuiteLoop, patched_by
from pytest_mcp_storage.session.backends import MakeHarness, described
from pytest_mcp_storage.session.failures import Known, name_of
from pytest_mcp_storage.session.options import Options
from pytest_mcp_storage.spec.harness import NotMeasurable
from pytest_mcp_storage.spec.outcome import Measurement, Outcome

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.clause_tests import ClauseTest
    from pytest_mcp_storage.engine.environment import Environment
    from pytest_mcp_storage.engine.exercised import BranchMeter, Ran

PATCHED = (
    "{0} has replaced Python's threads, and the suite needs real ones. Run it in a process that does not call "
    "{0}'s monkey patching: without the conftest.py, plugin or import that does so"
)


OUTAGES = "RE"
"""The group whose tests may leave a lock, a transaction or a connection in a broken store, also where they pass."""
REPLAYED = "the failure of an earlier run, replayed; pytest --cache-clear forgets it"


class Run:
    """Options, harness makers by backend name, and the environments provisioned so far."""

    def __init__(
        self,
        options: Options,
        makers: Mapping[str, MakeHarness],
        say: Callable[[str], None] = lambda text: None,
        known: Known | None = None,
    ) -> None:
        self.options = options
        self._known = known or {}
        self._say = say
        self.makers = makers
        self.clauses = {clause.id: clause for clause in options.clauses}
        self._environments: dict[str, Environment] = {}
        self._undestroyed: list[str] = []
        self._refusals: dict[str, str] = {}
        self._origins: dict[str, tuple[str, str]] = {}
        self._loop: SuiteLoop | None = None
        self._meters: dict[str, BranchMeter] = {}
        self._waited: dict[str, dict[str, Measurement]] = {}
        self.planned: dict[str, list[ClauseTest]] = {}
        """The tests of this run that each backend will get, if that is known."""

    @property
    def loop(self) -> SuiteLoop:
        """Return the suite's event loop, started at first use."""
        if self._loop is None:
            self._loop = SuiteLoop()
        return self._loop

    def measure(self, test: ClauseTest, backend: str) -> Measurement:
        """Measure one test on one backend; if the backend can't be provisioned, the result is "not measured"."""
        from pytest_mcp_storage.engine.measure import measure
        from pytest_mcp_storage.oracle.reduction import reduce

        clause = self.clauses[test.clause]
        if backend in self._refusals:
            return Measurement(clause.id, test.name, Outcome.NOT_MEASURED, self._refusals[backend])
        try:
            environment = self._environment(backend)
        except NotMeasurable as error:
            self._refusals[backend] = error.reason
            return Measurement(clause.id, test.name, Outcome.NOT_MEASURED, error.reason)
        except UnfitError as error:
            why = self._refusals[backend] = f"backend {backend!r} can't be judged: {error}"
            return Measurement(clause.id, test.name, Outcome.NOT_MEASURED, why, fault=why)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pytest.skip() too: a named backend is never skipped
            if isinstance(error, pytest.fail.Exception):  # by a signal: what the harness raises is contained
                why = f"the run's own timeout ended the test while {backend!r} was opened: {error}"
            else:
                why = f"backend {backend!r} can't be opened: {type(error).__name__}: {error}"
            self._refusals[backend] = why
            from pytest_mcp_storage.spec.tracebacks import traceback_of

            fault = traceback_of(error)
            return Measurement(clause.id, test.name, Outcome.NOT_MEASURED, self._refusals[backend], fault=fault)
        options = self.options
        with self._following(environment):
            measured = self._known_failure(test, backend, environment) or self._waited_for(test, environment)
            for seed in () if measured else self._seeds(test, backend):
                measured = measure(
                    test, clause, environment, options.tier, seed, destructive=options.destructive, reduce=reduce
                )
                if measured.outcome is Outcome.FAILED:
                    measured.seed = None if seed == options.seed else seed
                    break
            assert measured is not None
        if environment.hung:
            self._refusals[backend] = f"the store hung after {test.name}, and was not called again"
        elif measured.examples and (clause.group == OUTAGES or environment.had_a_cancelled_call):
            self._replace_if_unusable(environment)
        return measured

    def _replace_if_unusable(self, environment: Environment) -> None:
        """Take a new store if a lock was left in this one: else every later test would wait for it, and fail by it."""
        if not environment.harness.dedicated or environment.is_usable():
            return
        try:
            environment.stop()
        except Exception as error:
            self._undestroyed.append(_not_destroyed(environment, error))
        del self._environments[environment.name]
        with suppress(Exception):  # the next test reports it
            self._environment(environment.name)

    def _waited_for(self, test: ClauseTest, environment: Environment) -> Measurement | None:
        """Return what the test showed when all tests that wait for real time ran together; ``None``: run it alone."""
        from pytest_mcp_storage.engine.together import can_wait_together, measure_together

        backend, options = environment.name, self.options
        if backend not in self._waited and can_wait_together(test, self.clauses[test.clause], environment):
            planned = [(each, self.clauses[each.clause]) for each in self.planned.get(backend, ())]
            those = [
                (each, clause)
                for each, clause in planned
                if can_wait_together(each, clause, environment) and name_of(backend, each.name) not in self._known
            ]
            self._waited[backend] = measure_together(
                those, environment, options.tier, options.seed, destructive=options.destructive
            )
        return self._waited.get(backend, {}).pop(test.name, None)

    def _known_failure(self, test: ClauseTest, backend: str, environment: Environment) -> Measurement | None:
        """Return the failure of an earlier run, if a replay of its smallest history still shows it."""
        from pytest_mcp_storage.engine.context import TestContext
        from pytest_mcp_storage.engine.executor import LONGEST_EXAMPLE
        from pytest_mcp_storage.engine.measure import tidy
        from pytest_mcp_storage.oracle.reduction import still_fails

        kept = self._known.get(name_of(backend, test.name), {}).get("measurement")
        if not kept:
            return None
        options = self.options
        context = TestContext(environment, options.tier, options.seed, destructive=options.destructive)
        try:
            if not still_fails(kept["scenario"], context):
                return None
        finally:
            tidy(context, limit=LONGEST_EXAMPLE)
        found = Measurement.from_json(kept)
        found.examples, found.seconds = 1, 0.0
        found.notes = list(dict.fromkeys([*found.notes, REPLAYED]))
        return found

    def _seeds(self, test: ClauseTest, backend: str) -> list[int]:
        """Return the seeds to measure with: first that of an earlier failure, then the run's own."""
        kept = self._known.get(name_of(backend, test.name), {}).get("seed")
        return [self.options.seed] if kept is None else list(dict.fromkeys([int(kept), self.options.seed]))

    def describe(self, backend: str) -> dict[str, object]:
        """Return what a report says about a backend: harness, version and capabilities."""
        if backend not in self._environments:
            return {"name": backend, "harness": "", "version": "unknown", "capabilities": []}
        harness = self._environments[backend].harness
        source, release = self._origins.get(backend) or self._origins.setdefault(backend, described(harness))
        capabilities = sorted(each.name for each in harness.capabilities)
        return {"name": backend, "harness": source, "version": release, "capabilities": capabilities,
                "title": harness.name}  # fmt: skip

    def close(self) -> list[str]:
        """Destroy every provisioned store. Return what was not destroyed, in words."""
        problems = list(self._undestroyed)
        for environment in self._environments.values():
            try:
                environment.stop()
            except (Exception, KeyboardInterrupt) as error:  # Ctrl-C again: the report is written nevertheless
                problems.append(_not_destroyed(environment, error))
        self._environments.clear()
        if self._loop is not None:
            with suppress(KeyboardInterrupt):
                self._loop.close()
            self._loop = None
        return problems

    def arcs(self) -> dict[str, dict[str, Ran]]:
        """Return what has run of each store's code, by backend name; JSON."""
        return {name: meter.arcs() for name, meter in self._meters.items()}

    def _following(self, environment: Environment) -> AbstractContextManager[None]:
        """Follow which branches of the store's code run, unless the options disable it."""
        if not self.options.coverage:
            return nullcontext()
        if environment.name not in self._meters:
            from pytest_mcp_storage.engine.exercised import BranchMeter
            from pytest_mcp_storage.engine.source_files import modules_of, project_files

            modules = modules_of(environment.harness, environment.backend_type)
            self._meters[environment.name] = BranchMeter(project_files(modules), self.loop, type(environment.harness))
        environment.meter = self._meters[environment.name]
        return environment.meter.following()

    def _environment(self, backend: str) -> Environment:
        from pytest_mcp_storage.engine.environment import Environment
        from pytest_mcp_storage.workloads.observer import SealObserver

        if backend not in self._environments:
            if library := patched_by():
                raise NotMeasurable(PATCHED.format(library))
            environment = Environment(backend, self.makers[backend], self.loop)
            environment.observer = SealObserver()
            with announced(self._say):
                environment.start()
            self._environments[backend] = environment
        return self._environments[backend]


def _not_destroyed(environment: Environment, error: BaseException) -> str:
    reason = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"the store of {environment.name} was not destroyed: {reason}"


class _Saying(logging.Handler):
    """Passes each record's message on."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


@contextmanager
def announced(say: Callable[[str], None]) -> Iterator[None]:
    """Pass on what the plugin's logger reports meanwhile, such as a server that takes long to start."""
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
