"""Merge several runs into one report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_mcp_storage.report.model import BackendReport, Report, ReportError

MIXED = "mixed"
"""Replaces what the merged runs do not have in common."""


def merge(reports: Sequence[tuple[str, Report]]) -> tuple[Report, list[str]]:
    """Return one report of them all, and remarks about its origin. ``reports``: each with its file's name.

    A backend that occurs in several is taken from the last one. Raise :class:`ReportError` for reports that are judged
    by different revisions: their verdicts are about different contracts.
    """
    if len(reports) == 1:
        return reports[0][1], []
    revisions: dict[str, str] = {}
    for name, report in reports:
        revisions.setdefault(report.revision, name)
    if len(revisions) > 1:
        listed = ", ".join(f"{name} by {revision}" for revision, name in revisions.items())
        raise ReportError(f"these runs are judged by different revisions of the contract ({listed}); a matrix compares "
                          "verdicts on one: run again with the same --mcp-revision")  # fmt: skip
    kept: dict[str, tuple[str, BackendReport]] = {}
    remarks: list[str] = []
    groups: dict[str, str] = {}
    problems: list[str] = []
    for source, report in reports:
        for group, title in report.groups.items():
            groups[group] = groups.get(group) or title
        problems += [f"{source}: {problem}" for problem in report.problems]
        for backend in report.backends:
            if backend.name in kept:
                remarks.append(f"{backend.name} occurs in {kept[backend.name][0]} and in {source}: the later is taken")
            kept[backend.name] = (source, _with_its_run(backend, report))
    last = reports[-1][1]
    merged = Report(
        suite=_common(report.suite for _, report in reports),
        revision=last.revision,
        tier=_common(report.tier for _, report in reports),
        seed=last.seed,
        backends=[backend for _, backend in kept.values()],
        groups=groups,
        problems=problems,
        when=max(report.when for _, report in reports),
    )
    return merged, remarks


def _with_its_run(backend: BackendReport, report: Report) -> BackendReport:
    return replace(
        backend,
        suite=backend.suite or report.suite,
        tier=backend.tier or report.tier,
        seed=report.seed if backend.seed is None else backend.seed,
        when=backend.when or report.when,
    )


def _common(values: Iterable[str]) -> str:
    found = set(values)
    return found.pop() if len(found) == 1 else MIXED
