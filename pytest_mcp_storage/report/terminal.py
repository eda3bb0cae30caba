"""The summary at the end of a run: a row for each clause group, what did not pass, and each backend's verdict."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import Protocol

from pytest_mcp_storage.report import labels
from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.report.model import MUST, BackendReport, ClauseReport, Exercised, Report
from pytest_mcp_storage.spec.outcome import Outcome

COLUMNS = (
    (Outcome.PASSED, "", "passed"),
    (Outcome.FAILED, "", "failed"),
    (Outcome.DEVIATION, "", "deviation"),
    (Outcome.NOT_APPLICABLE, "not", "applicable"),
    (Outcome.NOT_MEASURED, "not", "measured"),
)
"""Outcome, and its heading in two lines."""
NARROWEST = 60
"""The least number of columns for the summary."""
WIDEST_TABLE = 80
MOST_MISSED = 5
"""How many pieces of code that no test ran are shown here; the reports have all of them."""
MOST_ROWS = 3
"""Lines for a failure here; pytest's own list of failures above has all of it."""
COLOURS = {
    "passed": {"green": True},
    "failed": {"red": True},
    "advice": {"yellow": True},
    "deviation": {"yellow": True},
    "not-measured": {"yellow": True},
    "not-applicable": {},
}

Segment = tuple[str, dict[str, bool]]
"""A piece of a line, and its markup for pytest's terminal writer."""
Line = list[Segment]


class Writer(Protocol):
    """The part of pytest's terminal reporter that is used."""

    def write(self, content: str, **markup: bool) -> None: ...


def show(report: Report, writer: Writer, *, brief: bool = False) -> None:
    """Write the summary. ``brief``: without the tables, and one line for each backend that passed."""
    for line in lines(report, brief=brief):
        for text, markup in line:
            writer.write(text, **markup)
        writer.write("\n")


def plain(report: Report, width: int | None = None) -> str:
    """Return the summary without colours."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines(report, width))


def lines(report: Report, width: int | None = None, *, brief: bool = False) -> list[Line]:
    """Yield the summary, a line at a time.

    ``width``: columns to wrap at, by default the terminal's between 60 and 100.
    """
    if width is None:
        width = min(100, max(NARROWEST, shutil.get_terminal_size().columns))
    found: list[Line] = []
    for backend in report.backends:
        if not brief:
            found += [*_heading(report, backend), *_table(report, backend, width), *_remarks(backend, width), []]
        elif backend.count(Outcome.FAILED):
            found += [*_causes(backend, width), *_failures(backend, width), []]
    for problem in report.problems:
        found += _wrapped("problem: ", one_line(problem), width, {"red": True})
    return found + [[verdict(backend, report.tier, problems=len(report.problems))] for backend in report.backends]


def verdict(backend: BackendReport, tier: str, *, problems: int = 0) -> Segment:
    """Return the verdict line of a backend."""
    label = labels.verdict(backend)
    counts = [f"{count} {each.words}" for each, count in labels.counts(backend).items()]
    counts += [backend.exercised.words] if counts and backend.exercised.words else []
    extent = labels.extent(backend, tier)
    inside = "; ".join(filter(None, [extent, ", ".join(counts) or "nothing was judged"]))
    text = f"{one_line(backend.name)}: {one_line(label.words).upper()} ({inside})"
    if problems and extent:  # a good verdict alone would hide that the exit code is not 0
        text += f", but the run fails: {counted(problems, 'problem')}, above"
    return text, {**COLOURS[label.key], "bold": True}


def _heading(report: Report, backend: BackendReport) -> Iterator[Line]:
    yield [
        (one_line(backend.name), {"bold": True}),
        (f"  revision {one_line(report.revision)} · {one_line(report.about(backend))}", {}),
    ]
    about = [backend.harness] if backend.harness not in ("", backend.name) else []
    about += [f"version {backend.version}"] if backend.version != "unknown" else []
    if about:
        yield [(one_line(", ".join(about)), {"light": True})]
    yield []


def _table(report: Report, backend: BackendReport, width: int) -> Iterator[Line]:
    gap = 2 if width >= WIDEST_TABLE else 1
    widths = [gap + len(column[2]) for column in COLUMNS]
    names = min(width, WIDEST_TABLE) - sum(widths)
    for heading in (1, 2):
        yield [
            (" " * names, {}),
            *((f"{column[heading]:>{each}}", {}) for column, each in zip(COLUMNS, widths, strict=True)),
        ]
    good = _good_groups(report, backend) if backend.count(Outcome.FAILED, MUST) else []
    if len(good) > 1:
        rows = [clause for clause in backend.clauses if clause.group in good]
        yield [(f"{_cut('  ' + one_line(', '.join(good)), names):<{names}}", {}), *_cells(rows, widths)]
    for group, title in report.groups.items():
        rows = [clause for clause in backend.clauses if clause.group == group]
        if rows and (group not in good or len(good) == 1):
            name = f"  {one_line(group):<4}{one_line(title)}"
            yield [(f"{_cut(name, names):<{names}}", {}), *_cells(rows, widths)]


def _good_groups(report: Report, backend: BackendReport) -> list[str]:
    """Return the groups of which no clause failed. They share a row if another one failed."""
    bad = {each.group for each in backend.clauses if each.outcome in (Outcome.FAILED, Outcome.DEVIATION)}
    there = {each.group for each in backend.clauses}
    return [group for group in report.groups if group in there - bad]


def _cut(name: str, width: int) -> str:
    return name if len(name) < width else f"{name[: width - 2]}…"


def _cells(rows: list[ClauseReport], widths: list[int]) -> Iterator[Segment]:
    return (_cell(rows, column[0], each) for column, each in zip(COLUMNS, widths, strict=True))


def _cell(rows: list[ClauseReport], outcome: Outcome, width: int) -> Segment:
    found = [row for row in rows if row.outcome is outcome]
    if not found:
        return f"{'·':>{width}}", {"light": True}
    worst = next(label for label in (labels.FAILED, *labels.LEGEND) if label in map(labels.label, found))
    return f"{len(found):>{width}}", COLOURS[worst.key]


def _remarks(backend: BackendReport, width: int) -> list[Line]:
    """Yield what did not pass, in one to three lines each; then why clauses were not measured or not applicable.

    What was judged in part, and code that no test ran, matter once nothing fails.
    """
    found = [*_causes(backend, width), *_failures(backend, width)]
    failing = backend.count(Outcome.FAILED, MUST) > 0
    for outcome, label in ((Outcome.NOT_MEASURED, labels.UNMEASURED), (Outcome.NOT_APPLICABLE, labels.NOT_APPLICABLE)):
        reasons = backend.reasons(outcome)
        if failing and outcome is Outcome.NOT_APPLICABLE:
            reasons = _needed(reasons)
        for reason, ids in reasons.items():
            start = f"  {label.mark} {label.words}: "
            found += _wrapped(start, f"{one_line(backend.folded(ids))}: {one_line(reason)}", width, COLOURS[label.key])
    if not failing:
        for what, ids in backend.in_part().items():
            text = f"{one_line(backend.folded(ids))}: without {one_line(what)}"
            found += _wrapped("  ½ judged in part: ", text, width, COLOURS["not-applicable"])
    if backend.undeclared:
        names = ", ".join(map(one_line, backend.undeclared))
        found += _wrapped("  + there, but not declared: ", names, width, {"yellow": True})
    if not failing:
        found += _not_exercised(backend.exercised, width)
    return [[], *found] if found else []


def _needed(reasons: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the clauses that need a capability under one reason: all that is needed."""
    needs = {reason: ids for reason, ids in reasons.items() if reason.startswith("needs ")}
    if len(needs) < 2:
        return reasons
    names = sorted({name for reason in needs for name in reason.removeprefix("needs ").split(", ")})
    others = {reason: ids for reason, ids in reasons.items() if reason not in needs}
    return {**others, f"needs {', '.join(names)}": [id for ids in needs.values() for id in ids]}


def _failures(backend: BackendReport, width: int) -> list[Line]:
    """Yield the failed clauses and the known deviations; of a shared cause only the clause to fix first."""
    found: list[Line] = []
    shared = {id for cause in backend.causes if len(cause.clauses) > 1 for id in cause.clauses if id != cause.first}
    for clause in backend.clauses:
        if clause.outcome is Outcome.FAILED and clause.id in shared:
            continue  # the line of its cause names it
        if clause.outcome in (Outcome.FAILED, Outcome.DEVIATION):
            label = labels.label(clause)
            start = f"  {label.mark} {one_line(clause.id)} ({one_line(clause.level)}): "
            if clause.outcome is Outcome.DEVIATION:
                found += _wrapped(start, one_line(f"known: {clause.deviation}"), width, COLOURS[label.key])
            else:
                found += _seen_and_expected(start, clause, width, COLOURS[label.key])
    return found


def _causes(backend: BackendReport, width: int) -> list[Line]:
    """Yield the causes of the failed clauses, if one cause has several or is known."""
    if not any(len(cause.clauses) > 1 or cause.like for cause in backend.causes):
        return []
    causes = counted(len(backend.causes), "cause")
    clauses = counted(sum(len(cause.clauses) for cause in backend.causes), "failed clause")
    found: list[Line] = [[(f"  {causes}, {clauses}:", {"bold": True})]]
    for number, cause in enumerate(backend.causes, 1):
        ids = one_line(backend.folded(cause.clauses))
        found += _wrapped(f"  {number}. ", f"{one_line(cause.line)} · {ids}", width, {"red": True}, most=None)
    return found


def counted(count: int, what: str) -> str:
    """Return ``1 cause`` or ``2 causes``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _not_exercised(exercised: Exercised, width: int) -> list[Line]:
    """Yield the largest pieces of the store's code that no test ran."""
    if not exercised.missed:
        return []
    count = len(exercised.missed)
    found: list[Line] = [
        [(f"  not exercised: {count} {'branch' if count == 1 else 'branches'} of the store's code", {})]
    ]
    for missed in exercised.missed[:MOST_MISSED]:
        found += _wrapped("      ", one_line(missed.words), width, {"light": True})
    return found


def _seen_and_expected(start: str, clause: ClauseReport, width: int, markup: dict[str, bool]) -> list[Line]:
    """Yield what was observed, and what was expected, which is never cut: the long text of an exception is."""
    should = f" (should {one_line(clause.should)})" if clause.should else ""
    whole = _wrapped(start, one_line(clause.message) + should, width, markup, most=None)
    if len(whole) <= MOST_ROWS:
        return whole
    seen = _wrapped(start, one_line(clause.message), width, markup)
    return seen + (_wrapped(" " * 6, should.strip(), width, markup, most=None) if should else [])


def _wrapped(start: str, text: str, width: int, markup: dict[str, bool], *, most: int | None = MOST_ROWS) -> list[Line]:
    rows = textwrap.wrap(
        text,
        width,
        initial_indent=start,
        subsequent_indent=" " * 6,
        max_lines=most,
        placeholder=" …",
        break_on_hyphens=False,  # an option that is broken in two can't be copied
    ) or [start.rstrip()]
    return [[(row, markup)] for row in rows]
