"""Failures of a cause that is shown already: pytest prints one failure of each cause, and counts them all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.report.model import BackendReport, Report
from pytest_mcp_storage.spec.outcome import Measurement


def repeated(report: Report, reporter: Any) -> list[Any]:
    """Return pytest's reports of failures whose cause another one shows: that of the clause to fix first."""
    failed: dict[str, list[tuple[Any, Measurement]]] = {}
    for each in reporter.stats.get("failed", ()):
        about = getattr(each, "mcp", None)
        if about and about["category"] == "failed" and not hasattr(each, "mcp_leak"):
            name = json.loads(about["backend"])["name"]
            failed.setdefault(name, []).append((each, Measurement.from_json(json.loads(about["measured"]))))
    return [one for backend in report.backends for one in _repeated_of(backend, failed.get(backend.name, []))]


def _repeated_of(backend: BackendReport, failed: list[tuple[Any, Measurement]]) -> Iterator[Any]:
    tests = {clause.id: clause.test for clause in backend.clauses}
    for cause in backend.causes:
        mine = [(each, measured) for each, measured in failed if measured.clause in cause.clauses]
        first = [each for each, measured in mine if measured.test == tests[cause.first]] or [each for each, _ in mine]
        yield from (each for each, _ in mine if each is not first[0])


@contextmanager
def hidden(reports: list[Any], reporter: Any) -> Iterator[None]:
    """Hide some failures from pytest's lists, and put them back before it counts."""
    failed = reporter.stats.get("failed", [])
    ids = set(map(id, reports))
    if ids:
        reporter.stats["failed"] = [each for each in failed if id(each) not in ids]
    try:
        yield
    finally:
        if ids:
            reporter.stats["failed"] = failed


def about(report: Report, hidden: int) -> Iterator[str]:
    """Yield how many failures were hidden, and the reproducers that were written."""
    if hidden:
        what = "1 more failed test has" if hidden == 1 else f"{hidden} more failed tests have"
        yield f"note: {what} a cause that is shown; -v shows all"
    by_id = {(backend.name, clause.id): clause for backend in report.backends for clause in backend.clauses}
    written = [clause for clause in by_id.values() if clause.reproducer]
    first = [by_id[backend.name, cause.first] for backend in report.backends for cause in backend.causes]
    named = [clause for clause in first if clause.reproducer]
    for clause in named:
        yield f"reproducer: {one_line(clause.reproducer)} ({clause.id})"
    if (more := len(written) - len(named)) > 0:
        yield f"reproducers: {more} more in the same folder"
