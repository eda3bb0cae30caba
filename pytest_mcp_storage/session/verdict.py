"""Make a report from measurements: each clause's outcome, each backend's verdict, and whether the run passes."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_mcp_storage.report.fingerprint import kind_of
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report, verdict_of
from pytest_mcp_storage.session.deviations import Deviation
from pytest_mcp_storage.session.options import Options
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clauses import Clause, Level
from pytest_mcp_storage.spec.outcome import UNDECLARED, Measurement, Outcome


def judge(
    options: Options,
    deviations: Sequence[Deviation],
    measured: Mapping[str, Iterable[Measurement]],
    described: Mapping[str, Mapping[str, Any]],
) -> Report:
    """Return the report of a run. ``measured`` and ``described``: by backend name."""
    now = datetime.datetime.now(datetime.UTC)
    today = now.date()
    backends = []
    for name in options.backends:
        found = list(measured.get(name, ()))
        seen = [one for each in found for one in (each, *each.observed)]
        rows = [_clause(options, deviations, name, clause, seen, today) for clause in options.clauses]
        about = described.get(name, {"harness": "", "version": "unknown", "capabilities": []})
        backends.append(
            BackendReport(
                name=name,
                harness=about["harness"],
                version=about["version"],
                capabilities=list(about["capabilities"]),
                verdict=verdict_of(rows, strict=options.strict),
                clauses=rows,
                undeclared=_undeclared(found),
                not_judged=_not_judged(options, about["capabilities"]) if about["harness"] else [],
                title=about.get("title", ""),
            )
        )
    return Report(
        suite=f"pytest-mcp-storage {version('pytest-mcp-storage')}",
        revision=options.revision,
        tier=options.tier.name,
        seed=options.seed,
        backends=backends,
        groups={clause.group: clause.group_title for clause in options.clauses},
        problems=_stale(options, deviations, backends, today),
        when=now.isoformat(timespec="seconds"),
    )


def passes(options: Options, report: Report) -> bool:
    """Say whether every selected, applicable MUST clause was measured and passed, or is a listed deviation.

    Under ``--mcp-strict`` a failed SHOULD counts too; a SHOULD that was not measured never does.
    """
    if report.problems:
        return False
    for backend in report.backends:
        selected = [row for row in backend.clauses if row.id in options.selected]
        if all(row.outcome is Outcome.NOT_MEASURED for row in selected):
            return False  # a named backend of which nothing was measured does not pass
        if any(_counts_against(row, strict=options.strict) for row in selected):
            return False
    return True


def left_alone(options: Options, deviations: Sequence[Deviation]) -> list[str]:
    """Return a line for each backend that only deviations name: it belongs to another run, or is misspelled."""
    first: dict[str, Deviation] = {}
    for each in deviations:
        if each.backend not in ("", *options.backends):
            first.setdefault(each.backend, each)
    return [f"{_place(options, each)} names backend {name!r}, which this run does not judge"
            for name, each in first.items()]  # fmt: skip


def _counts_against(row: ClauseReport, *, strict: bool) -> bool:
    if row.level == Level.MUST.value:
        return row.outcome in (Outcome.FAILED, Outcome.NOT_MEASURED)
    return strict and row.outcome is Outcome.FAILED


def _clause(
    options: Options,
    deviations: Sequence[Deviation],
    backend: str,
    clause: Clause,
    seen: Sequence[Measurement],
    today: datetime.date,
) -> ClauseReport:
    mine = [each for each in seen if each.clause == clause.id]
    outcome, shown = _outcome(options, clause, mine)
    row = ClauseReport(
        id=clause.id,
        level=clause.level.value,
        outcome=outcome,
        statement=clause.statement,
        group=clause.group,
        examples=sum(each.examples for each in mine),
        seconds=round(sum((each.seconds for each in mine), 0.0), 3),
        message=shown.message,
        should=shown.should,
        history=shown.history,
        fault=shown.fault,
        test=shown.test if shown.outcome is Outcome.FAILED else "",
        kind=kind_of(shown.message, shown.scenario) if shown.outcome is Outcome.FAILED else "",
        scenario=shown.scenario,
        notes=list(dict.fromkeys(n for each in mine for n in each.notes if not n.startswith(UNDECLARED))),
        reproduce=options.reproduce(backend, clause.id, shown.seed),
    )
    accepted = [each for each in deviations if each.covers(backend, clause.id, today)]
    if outcome is Outcome.FAILED and accepted:
        own = next((each for each in accepted if each.backend), accepted[0])
        row.outcome, row.deviation = Outcome.DEVIATION, f"{own.reason} ({own.link})" if own.link else own.reason
    return row


def _outcome(options: Options, clause: Clause, mine: Sequence[Measurement]) -> tuple[Outcome, Measurement]:
    """Return the worst outcome of a clause's tests, and the measurement that shows it best.

    Of several failures that is the one with the shortest confirmed history: the others need more to be read.
    """
    nothing = Measurement(clause.id, "", Outcome.NOT_MEASURED)
    if clause.id not in options.selected:
        nothing.message = "not selected by --mcp-clause"
        return Outcome.NOT_MEASURED, nothing
    for outcome in (Outcome.FAILED, Outcome.NOT_MEASURED):
        if found := [each for each in mine if each.outcome is outcome]:
            return outcome, min(found, key=lambda each: (_effort(each), _place_of(each.test, clause)))
    if lost := [test for test in clause.tests if test not in {each.test for each in mine}]:
        nothing.message = "it did not run: deselected, interrupted or not collected"
        nothing.notes = [f"did not run: {', '.join(lost)}"]
        return Outcome.NOT_MEASURED, nothing
    for each in mine:
        if each.outcome is Outcome.PASSED:
            return Outcome.PASSED, each
    return Outcome.NOT_APPLICABLE, mine[0]


def _effort(failed: Measurement) -> tuple[int, int]:
    """Return how much has to be read to see a failure: its own calls, a plain sequence, or the recorded calls."""
    if not failed.scenario:
        return 2, 0
    return int(failed.scenario["finding"].get("plain", False)), len(failed.history)


def _place_of(test: str, clause: Clause) -> int:
    """Return the place of a test in its clause; tests of other clauses come last."""
    return clause.tests.index(test) if test in clause.tests else len(clause.tests)


def _not_judged(options: Options, capabilities: Iterable[str]) -> list[str]:
    """Return what is not judged because a selected clause, or a part of one, needs an undeclared capability."""
    selected = [clause for clause in options.clauses if clause.id in options.selected]
    needed = {each for clause in selected for each in (*clause.needs, *(half for half, _ in clause.optional_parts))}
    return [each.judges for each in Capability if each in needed and each.name not in capabilities]


def _undeclared(found: Sequence[Measurement]) -> list[str]:
    notes = [note for each in found for note in each.notes if note.startswith(UNDECLARED)]
    return list(dict.fromkeys(note.removeprefix(UNDECLARED) for note in notes))


def _stale(
    options: Options, deviations: Sequence[Deviation], backends: Sequence[BackendReport], today: datetime.date
) -> list[str]:
    problems = []
    for deviation in deviations:
        where = f"{_place(options, deviation)}: {deviation.clause}"
        if deviation.backend and deviation.backend not in options.backends:
            continue  # about a backend that this run does not judge
        outcomes = {
            row.outcome
            for backend in backends
            if deviation.backend in ("", backend.name)
            for row in backend.clauses
            if row.id == deviation.clause
        }
        if deviation.expired(today):
            problems.append(f"{where}: the deviation expired on {deviation.expires}; fix the store or delete the entry")
        elif outcomes == {Outcome.NOT_APPLICABLE}:
            problems.append(f"{where}: the deviation is stale, the clause does not apply here; delete the entry")
        elif outcomes and outcomes <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}:
            problems.append(f"{where}: the deviation is stale, the clause passes now; delete the entry")
    return problems


def _place(options: Options, deviation: Deviation) -> str:
    """Return file and line, relative to the working directory if the file is below it."""
    path = options.deviations
    near = path.relative_to(Path.cwd()) if path and path.is_relative_to(Path.cwd()) else path
    return f"{near}:{deviation.line}"
