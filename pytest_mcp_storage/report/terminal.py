"""The summary that stands under a run: a row a clause group, and the verdict of each backend."""

from __future__ import annotations

from pytest_mcp_storage.outcome import Outcome
from pytest_mcp_storage.report.model import CONFORMANT, NOT_MEASURED, WITH_DEVIATIONS, BackendReport, Report

COLUMNS = (Outcome.PASSED, Outcome.FAILED, Outcome.DEVIATION, Outcome.NOT_APPLICABLE, Outcome.NOT_MEASURED)
COLOURS = {CONFORMANT: "green", WITH_DEVIATIONS: "yellow", NOT_MEASURED: "yellow"}

Line = tuple[str, dict[str, bool]]
"""A line, and how pytest's terminal writer marks it up."""


def lines(report: Report) -> list[Line]:
    """The summary, a line at a time."""
    found: list[Line] = []
    for backend in report.backends:
        found += _backend(report, backend)
    found += [(f"problem: {problem}", {"red": True}) for problem in report.problems]
    return found


def verdict(backend: BackendReport) -> str:
    """The verdict line of a backend."""
    counts = [f"{backend.count(outcome)} {outcome.words}" for outcome in COLUMNS if backend.count(outcome)]
    return f"{backend.name}: {backend.verdict.replace('_', ' ').upper()} ({', '.join(counts)})"


def _backend(report: Report, backend: BackendReport) -> list[Line]:
    about = f"revision {report.revision} · tier {report.tier} · seed {report.seed}"
    found: list[Line] = [
        (f"{backend.name}  {backend.harness}, version {backend.version}  {about}", {"bold": True}),
        (f"{'':32}" + "".join(f"{outcome.words:>16}" for outcome in COLUMNS), {}),
    ]
    for group, title in report.groups.items():
        rows = [clause for clause in backend.clauses if clause.group == group]
        counts = [sum(1 for row in rows if row.outcome is outcome) for outcome in COLUMNS]
        bad = any(row.outcome is Outcome.FAILED for row in rows)
        cells = "".join(f"{count or '·':>16}" for count in counts)
        found.append((f"  {group:<4}{title:<26}{cells}", {"red": True} if bad else {}))
    found += [(text, {"yellow": True}) for text in _remarks(backend)]
    if backend.undeclared:
        found.append((f"  there, but not declared: {', '.join(backend.undeclared)}", {"yellow": True}))
    return [*found, (verdict(backend), {COLOURS.get(backend.verdict, "red"): True, "bold": True}), ("", {})]


def _remarks(backend: BackendReport) -> list[str]:
    """Why clauses were not measured, each reason once, and what else did not pass."""
    reasons: dict[str, list[str]] = {}
    for clause in backend.clauses:
        if clause.outcome is Outcome.NOT_MEASURED:
            reasons.setdefault(clause.message, []).append(clause.id)
    found = [f"  not measured: {_listed(ids)}: {reason}" for reason, ids in reasons.items()]
    for clause in backend.clauses:
        if clause.outcome is Outcome.DEVIATION:
            found.append(f"  deviation: {clause.id}: {clause.deviation}")
        elif clause.outcome is Outcome.FAILED:
            found.append(f"  failed: {clause.id} ({clause.level}): {clause.message}")
    return found


def _listed(ids: list[str], most: int = 6) -> str:
    return ", ".join(ids) if len(ids) <= most else f"{', '.join(ids[:most])} and {len(ids) - most} more"
