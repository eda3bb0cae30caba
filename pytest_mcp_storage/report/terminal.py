"""The summary that stands under a run: a row a clause group, what did not pass, and the verdict of each backend."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import Protocol

from pytest_mcp_storage.clause_ids import compact
from pytest_mcp_storage.outcome import Outcome
from pytest_mcp_storage.report import signs
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report
from pytest_mcp_storage.report.visible import one_line

COLUMNS = (
    (Outcome.PASSED, "", "passed", 8),
    (Outcome.FAILED, "", "failed", 8),
    (Outcome.DEVIATION, "", "deviation", 11),
    (Outcome.NOT_APPLICABLE, "not", "applicable", 12),
    (Outcome.NOT_MEASURED, "not", "measured", 10),
)
"""Outcome, its heading in two lines, and the width of its column; 80 in all."""
NAMES = 31
MOST_ROWS = 3
"""Lines that a failure takes here; the whole of it stands above, among pytest's failures."""
COLOURS = {
    "passed": {"green": True},
    "failed": {"red": True},
    "advice": {"yellow": True},
    "deviation": {"yellow": True},
    "not-measured": {"yellow": True},
    "not-applicable": {},
}

Segment = tuple[str, dict[str, bool]]
"""A piece of a line, and how pytest's terminal writer marks it up."""
Line = list[Segment]


class Writer(Protocol):
    """What pytest's terminal reporter offers."""

    def write(self, content: str, **markup: bool) -> None: ...


def show(report: Report, writer: Writer) -> None:
    """Write the summary."""
    for line in lines(report):
        for text, markup in line:
            writer.write(text, **markup)
        writer.write("\n")


def plain(report: Report, width: int | None = None) -> str:
    """The summary without colours."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines(report, width))


def lines(report: Report, width: int | None = None) -> list[Line]:
    """The summary, a line at a time. ``width``: columns to wrap at, the terminal's between 60 and 100 by default."""
    if width is None:
        width = min(100, max(60, shutil.get_terminal_size().columns))
    found: list[Line] = []
    for backend in report.backends:
        found += [*_heading(report, backend), *_table(report, backend), *_remarks(backend, width), []]
    for problem in report.problems:
        found += _wrapped("problem: ", one_line(problem), width, {"red": True})
    return found + [[verdict(backend)] for backend in report.backends]


def verdict(backend: BackendReport) -> Segment:
    """The verdict line of a backend."""
    sign = signs.verdict(backend)
    counts = [f"{count} {each.words}" for each, count in signs.counts(backend).items()]
    text = f"{one_line(backend.name)}: {one_line(sign.words).upper()} ({', '.join(counts) or 'nothing was judged'})"
    return text, {**COLOURS[sign.key], "bold": True}


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


def _table(report: Report, backend: BackendReport) -> Iterator[Line]:
    for heading in (1, 2):
        yield [(" " * NAMES, {}), *((f"{column[heading]:>{column[3]}}", {}) for column in COLUMNS)]
    for group, title in report.groups.items():
        rows = [clause for clause in backend.clauses if clause.group == group]
        if rows:
            name = f"  {one_line(group):<4}{one_line(title)}"
            yield [(f"{name[: NAMES - 1]:<{NAMES}}", {}), *(_cell(rows, column[0], column[3]) for column in COLUMNS)]


def _cell(rows: list[ClauseReport], outcome: Outcome, width: int) -> Segment:
    found = [row for row in rows if row.outcome is outcome]
    if not found:
        return f"{'·':>{width}}", {"light": True}
    worst = next(sign for sign in (signs.FAILED, *signs.LEGEND) if sign in map(signs.sign, found))
    return f"{len(found):>{width}}", COLOURS[worst.key]


def _remarks(backend: BackendReport, width: int) -> list[Line]:
    """What did not pass, each in a line or three; then why clauses were not measured or not applicable, folded."""
    found: list[Line] = []
    for clause in backend.clauses:
        if clause.outcome in (Outcome.FAILED, Outcome.DEVIATION):
            sign = signs.sign(clause)
            should = f" (should {clause.should})" if clause.should else ""
            what = f"known: {clause.deviation}" if clause.outcome is Outcome.DEVIATION else clause.message + should
            start = f"  {sign.mark} {one_line(clause.id)} ({one_line(clause.level)}): "
            found += _wrapped(start, one_line(what), width, COLOURS[sign.key])
    for outcome, sign in ((Outcome.NOT_MEASURED, signs.UNMEASURED), (Outcome.NOT_APPLICABLE, signs.NOT_APPLICABLE)):
        for reason, ids in backend.reasons(outcome).items():
            start = f"  {sign.mark} {sign.words}: "
            found += _wrapped(start, f"{_named(backend, ids)}: {one_line(reason)}", width, COLOURS[sign.key])
    if backend.undeclared:
        names = ", ".join(map(one_line, backend.undeclared))
        found += _wrapped("  + there, but not declared: ", names, width, {"yellow": True})
    return [[], *found] if found else []


def _named(backend: BackendReport, ids: list[str]) -> str:
    """Clauses in a list, a whole group by its name, as ``--mcp-clause`` takes them: ``RT, LC-2 to LC-13``."""
    groups: dict[str, list[str]] = {}
    for clause in backend.clauses:
        groups.setdefault(clause.group, []).append(clause.id)
    named = []
    for group, all_of_it in groups.items():
        there = [id for id in all_of_it if id in ids]
        if there:
            whole = len(there) == len(all_of_it) > 1
            named.append(one_line(group) if whole else compact(map(one_line, there)))
    return ", ".join(named)


def _wrapped(start: str, text: str, width: int, markup: dict[str, bool]) -> list[Line]:
    rows = textwrap.wrap(
        text, width, initial_indent=start, subsequent_indent=" " * 6, max_lines=MOST_ROWS, placeholder=" …"
    ) or [start.rstrip()]
    return [[(row, markup)] for row in rows]
