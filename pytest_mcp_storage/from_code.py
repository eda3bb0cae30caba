"""The suite called from code, without a pytest session: ``judge`` and ``judge_sync``."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_mcp_storage.engine.exercised import exercised, unavailable
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.report.causes import add_causes
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report
from pytest_mcp_storage.report.write import RENDERERS, write
from pytest_mcp_storage.session.backends import MakeHarness, harness_of, resolve
from pytest_mcp_storage.session.options import Options, new_seed
from pytest_mcp_storage.session.run import Run
from pytest_mcp_storage.session.verdict import judge as report_of
from pytest_mcp_storage.session.verdict import passes
from pytest_mcp_storage.spec.clauses import LATEST, load_clauses, select
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
from pytest_mcp_storage.suite import suite_tests

Backend = str | type[BackendHarness] | Callable[[], Any]
"""A name as after ``--mcp-backend``, a harness class, or a callable that returns a backend."""

Progress = Callable[[str, int, int], None]
"""Called after each clause with its id, the number of clauses that are done, and the number of all."""


class NotConformantError(AssertionError):
    """The store failed, or a clause that was asked for could not be measured. The message lists the clauses."""


@dataclass(frozen=True)
class Judgement:
    """The report of one backend.

    ``selected``: the ids of the clauses that were asked for. ``passed``: whether each of them that applies and is a
    MUST was measured and passed; pytest's exit status says the same.
    """

    report: Report
    selected: frozenset[str]
    passed: bool

    @property
    def backend(self) -> BackendReport:
        """The backend's part of the report: name, harness, version, capabilities, clauses."""
        return self.report.backends[0]

    @property
    def verdict(self) -> str:
        """``conformant``, ``conformant_with_deviations``, ``not_conformant`` or ``not_measured``."""
        return self.backend.verdict

    @property
    def clauses(self) -> list[ClauseReport]:
        """Every clause of the contract, in its order. Those that were not selected are not measured."""
        return self.backend.clauses

    @property
    def causes(self) -> list[Any]:
        """What the failures have in common; empty if nothing was found."""
        return list(self.backend.causes)

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``--mcp-report FILE.json`` writes it."""
        return self.report.to_json()

    def write(self, path: str | Path) -> None:
        """Write the report as JSON, HTML, Markdown or a badge, by the file's ending."""
        path = Path(path)
        if path.suffix not in RENDERERS:
            raise ValueError(f"{path}: the ending must be one of {', '.join(RENDERERS)}")
        write(self.report, path)

    def raise_if_not_conformant(self) -> None:
        """Raise :class:`NotConformantError` unless the selected clauses were measured and passed."""
        if self.passed:
            return
        bad = (Outcome.FAILED, Outcome.NOT_MEASURED)
        against = [each for each in self.clauses if each.id in self.selected and each.outcome in bad]
        lines = [f"{each.id} ({each.level}) {each.outcome.words}: {each.message}" for each in against]
        what = f"{self.backend.name}: {self.verdict.replace('_', ' ')} ({self.report.about(self.backend)})"
        raise NotConformantError("\n".join([what, *lines, *self.report.problems]))


def judge_sync(
    backend: Backend,
    *,
    tier: str = "standard",
    clauses: Sequence[str] | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    seed: int | None = None,
    allow_destructive: bool = False,
) -> Judgement:
    """Judge a store by the contract, and return its report. The calling thread waits.

    ``backend`` is a name as after ``--mcp-backend``, a :class:`BackendHarness` subclass, or a callable that returns a
    backend. ``clauses`` has ids (``EX-2``) and groups (``EX``); ``None`` selects all. ``seed``, ``strict`` and
    ``allow_destructive`` are the options of the same names. Raises ``ValueError`` for an argument that is not valid.
    """
    return _judge(backend, tier, clauses, strict, progress, seed, allow_destructive, threading.Event())


async def judge(
    backend: Backend,
    *,
    tier: str = "standard",
    clauses: Sequence[str] | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    seed: int | None = None,
    allow_destructive: bool = False,
) -> Judgement:
    """Judge a store by the contract, as :func:`judge_sync` does, on a thread. The caller's event loop stays free.

    ``progress`` is called on the caller's loop. If the call is cancelled, the current test ends and the store is
    destroyed before ``CancelledError`` is raised.
    """
    loop, stop = asyncio.get_running_loop(), threading.Event()

    def on_the_loop(clause: str, done: int, total: int) -> None:
        if progress is not None:
            loop.call_soon_threadsafe(progress, clause, done, total)

    arguments = (backend, tier, clauses, strict, on_the_loop, seed, allow_destructive, stop)
    work = asyncio.ensure_future(asyncio.to_thread(_judge, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


@dataclass(frozen=True)
class _CodeOptions(Options):
    """Options of a run that no command line can repeat: its backend is an object of the caller's."""

    def reproduce(self, backend: str, clause: str, seed: int | None = None) -> str:
        name = backend.rpartition(":")[2]
        arguments = [
            name,
            f"tier={self.tier.name!r}",
            f"clauses=[{clause!r}]",
            f"seed={self.seed if seed is None else seed}",
        ]
        return f"judge_sync({', '.join(arguments + ['strict=True'] * self.strict)})"


def _judge(
    backend: Backend,
    tier: str,
    clauses: Sequence[str] | None,
    strict: bool,
    progress: Progress | None,
    seed: int | None,
    allow_destructive: bool,
    stop: threading.Event,
) -> Judgement:
    if tier not in TIERS:
        raise ValueError(f"unknown tier {tier!r} (known: {', '.join(TIERS)})")
    name, make = _named(backend)
    contract = load_clauses(LATEST)
    asked = [clauses] if isinstance(clauses, str) else list(clauses or ())
    selected = select(contract, [each.upper() for each in asked])
    seed = new_seed() if seed is None else seed
    options = (Options if isinstance(backend, str) else _CodeOptions)(
        backends=(name,),
        tier=TIERS[tier],
        revision=LATEST,
        clauses=contract,
        selected=frozenset(clause.id for clause in selected),
        seed=seed,
        strict=strict,
        destructive=allow_destructive,
        deviations=None,
        reports=(),
        coverage=not unavailable(),
    )
    run, tests = Run(options, {name: make}), suite_tests()
    run.planned[name] = [tests[test] for clause in selected for test in clause.tests]
    measured: list[Measurement] = []
    problems: list[str] = []
    try:
        with _no_last_resort():
            for done, clause in enumerate(selected, start=1):
                for test in clause.tests:
                    if stop.is_set():
                        raise InterruptedError("the call of judge() was cancelled")
                    measured.append(run.measure(tests[test], name))
                if progress is not None:
                    progress(clause.id, done, len(selected))
        about = run.describe(name)
    finally:
        problems += run.close()
    report = report_of(options, (), {name: measured}, {name: about})
    report.problems += problems
    if options.coverage and (arcs := run.arcs().get(name)):
        report.backends[0] = replace(report.backends[0], exercised=exercised([arcs]))
    add_causes(report.backends[0])
    return Judgement(report, options.selected, passes(options, report))


def _named(backend: Backend) -> tuple[str, MakeHarness]:
    """Return the backend's name in the report, and what makes its harness."""
    if isinstance(backend, str):
        return backend, resolve(backend, Path.cwd())
    label = getattr(backend, "__qualname__", type(backend).__qualname__)
    name = f"{getattr(backend, '__module__', type(backend).__module__)}:{label}"
    return name, harness_of(name, backend)


@contextmanager
def _no_last_resort() -> Iterator[None]:
    """Keep a store's warnings off the standard error output if the program has not set up logging."""
    root, handler = logging.getLogger(), logging.NullHandler()
    if root.handlers:
        yield
        return
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
