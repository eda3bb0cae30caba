"""Measure which branches of a store's own code the suite has exercised.

A verdict reaches as far as the code that ran. A branch is a jump from a condition to one of its two sides, or a call of
a function: a function that is never called is one missed branch. The class of the harness is not counted.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pytest_mcp_storage.engine import tracing
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.timeouts import GRACE
from pytest_mcp_storage.report.model import Exercised, Missed
from pytest_mcp_storage.spec.harness import BackendHarness

if TYPE_CHECKING:
    from coverage import Coverage


Lines = Sequence[tuple[int, int]]
"""First and last lines, or the jumps from a line to another."""


class Ran(TypedDict):
    """What is known of a file: the jumps that ran, and the lines of the harness, which are not counted."""

    jumps: Lines
    harness: Lines


Arcs = Mapping[str, Ran]
"""By file name: what ran."""


def unavailable() -> str:
    """Return why branches can't be measured in this process; empty if they can."""
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return "another tool traces this run (a debugger, or coverage)"
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None and any(
        monitoring.get_tool(id) for id in (monitoring.COVERAGE_ID, monitoring.DEBUGGER_ID)
    ):
        return "another tool monitors this run (a debugger, or coverage)"
    return ""


class BranchMeter:
    """Follow the branches of some files during calls on the suite's loop, and on threads that the calls start.

    A thread that outlives a test is followed in its first test only: ``asyncio.to_thread`` gets new threads each time.
    Of many examples of a test only some are followed, see :meth:`begin`: tracing all takes half as long again.
    """

    def __init__(self, files: Iterable[Path], loop: SuiteLoop, harness: type = object) -> None:
        self.files = sorted(files)
        self._harness = _lines_by_file(harness.__mro__)
        self._loop = loop
        self._coverage = _coverage(self.files)
        self._tracer: tracing.Tracer | None = None
        self._pausing = False
        self._follows = False

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the branches inside the block; if a store blocks the loop, the loop is not touched."""
        if not self.files:
            yield
            return
        self._loop.use_fresh_threads()
        self._call(self._start)
        try:
            yield
        finally:
            self._call(self._stop)

    def begin(self, number: int) -> None:
        """Begin the test's example of this number, from 1 on: the first, second, fourth, eighth … are followed."""
        self._follow(number & (number - 1) == 0)

    def arcs(self) -> dict[str, Ran]:
        """Return what has run so far; JSON, so that a worker process can send it."""
        data = self._coverage.get_data()
        names = map(str, self.files)
        return {name: {"jumps": sorted(data.arcs(name) or ()), "harness": self._harness[name]} for name in names}

    def _start(self) -> None:
        self._coverage.start()
        self._tracer, self._follows, self._pausing = sys.gettrace(), True, tracing.pausing
        if self._pausing and self._tracer is not None:
            sys.settrace(None)
            self._loop.trace(self._tracer, self.files)

    def _follow(self, follows: bool) -> None:
        if self._tracer is None or follows == self._follows:
            return
        self._follows = follows
        tracer = self._tracer if follows else None
        if self._pausing:
            self._loop.trace(tracer, self.files)
        else:
            self._call(lambda: sys.settrace(tracer))

    def _stop(self) -> None:
        self._follow(True)  # coverage ends its own tracer
        self._loop.trace(None)
        self._coverage.stop()
        self._tracer = None

    def _call(self, work: Callable[[], None]) -> None:
        async def on_the_loop() -> None:
            work()

        if self._loop.is_current():
            work()
            return
        with suppress(TimeoutError):
            self._loop.run(on_the_loop(), limit=GRACE)


def exercised(parts: Iterable[Arcs]) -> Exercised:
    """Return what ran and what did not, from the arcs of one process or of several."""
    merged: dict[str, set[tuple[int, int]]] = {}
    harness: dict[str, Lines] = {}
    for arcs in parts:
        for file, ran in arcs.items():
            merged.setdefault(file, set()).update((first, last) for first, last in ran["jumps"])
            harness[file] = ran["harness"]
    existing = {file: jumps for file, jumps in merged.items() if jumps and Path(file).is_file()}
    if not existing:
        return Exercised()
    coverage = _coverage(map(Path, existing))
    data = coverage.get_data()
    data.add_arcs(existing)
    report = _json_report(coverage)
    data.close(force=True)  # its database is in memory: Python 3.13 warns of one that is dropped open
    total = Exercised()
    for file, facts in report["files"].items():
        _add(total, Path(file), facts, harness[str(Path(file).resolve())])
    total.missed.sort(key=lambda each: (each.first - each.last, each.file, each.first))
    return total


def _add(total: Exercised, file: Path, facts: Mapping[str, Any], harness: Lines) -> None:
    """Add one file's branches, those inside functions; what a module does when it is imported ran before."""
    source = file.read_text(encoding="utf-8").splitlines()
    executed, missing = set(facts["executed_lines"]), set(facts["missing_lines"])
    functions = [each for each in _functions(source) if not any(a <= each[0] <= b for a, b in harness)]
    inside = {line for first, last in functions for line in range(first, last + 1)}
    seen = [arc for arc in facts["executed_branches"] if arc[0] in inside]
    lost = [arc for arc in facts["missing_branches"] if arc[0] in inside and arc[0] in executed]
    uncalled = [(first, last) for first, last in functions if first in missing]
    never = [(first, last) for first, last in uncalled if not any(a < first and last <= b for a, b in uncalled)]
    unreached = [arc for arc in facts["missing_branches"] if arc[0] in inside and arc[0] not in executed]
    total.seen += len(seen) + len(functions) - len(uncalled)
    total.branches += len(seen) + len(lost) + len(unreached) + len(functions)
    name = _short(file)
    for start, end in lost:
        first, last = _block(end, missing, source) if end > 0 else (start, start)
        total.missed.append(Missed(name, first, last, source[start - 1].strip().rstrip(":")))
    for first, last in never:
        total.missed.append(Missed(name, first, last, "never called"))


def _lines_by_file(classes: Iterable[type]) -> dict[str, list[tuple[int, int]]]:
    """Return the first and last line of each harness class, by the file that holds it."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for each in classes:
        if issubclass(each, BackendHarness):
            with suppress(OSError, TypeError):  # made without a file
                lines, first = inspect.getsourcelines(each)
                found[str(Path(inspect.getfile(each)).resolve())].append((first, first + len(lines) - 1))
    return found


def _functions(source: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first and last line of each function's body, without its docstring."""
    found = []
    for node in ast.walk(ast.parse("\n".join(source))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = [each for each in node.body if not _is_text(each)]
            if body:
                found.append((body[0].lineno, node.end_lineno or body[-1].lineno))
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _block(first: int, missing: set[int], source: Sequence[str]) -> tuple[int, int]:
    """Return the lines from ``first`` on that did not run and are indented at least as far."""
    if first not in missing:
        return first, first
    depth = _indent(source[first - 1])
    last = first
    for number in range(first + 1, len(source) + 1):
        line = source[number - 1]
        if line.strip() and _indent(line) < depth:
            break
        last = number if number in missing else last
    return first, last


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _short(file: Path) -> str:
    """Return the file's path from the folder that it is imported from."""
    folders = [Path(each).resolve() for each in sys.path if each]
    roots = [each for each in folders if file.is_relative_to(each)]
    return str(file.relative_to(max(roots, key=lambda each: len(each.parts)))) if roots else file.name


def _coverage(files: Iterable[Path]) -> Coverage:
    from coverage import Coverage

    coverage = Coverage(
        data_file=None,
        branch=True,
        include=[str(file) for file in files],
        config_file=False,
        messages=False,
    )
    # A run in which no clause is measured collects nothing; a warning would fail runs that turn warnings into errors.
    coverage.set_option("run:disable_warnings", ["no-data-collected"])
    return coverage


def _json_report(coverage: Coverage) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mcp-storage-") as folder:
        path = Path(folder, "coverage.json")
        coverage.json_report(outfile=str(path), ignore_errors=True)
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return report
