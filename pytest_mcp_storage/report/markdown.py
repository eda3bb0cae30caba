"""The report as Markdown for a pull request: the verdicts in a table, and what did not pass folded below it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_mcp_storage.report import labels
from pytest_mcp_storage.report.escaping import one_line, printable
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report
from pytest_mcp_storage.spec.outcome import Outcome

LONGEST = 60_000
"""Characters; a comment on GitHub holds 65,536."""
LONGEST_TEXT = 600
"""Characters of a message, or of a line of a history; the HTML and JSON reports have the rest."""
MOST_LINES = 20
"""Lines of a history."""


def as_markdown(report: Report) -> str:
    """Return Markdown as GitHub renders it. What exceeds the limit of a comment is counted, not shown."""
    written = "\n".join(_head(report)) + "\n"
    left = 0
    for detail in _details(report):
        if len(written) + len(detail) > LONGEST:
            left += 1
        else:
            written += "\n" + detail
    if left:
        written += f"\n*{left} more did not fit into a comment; the JSON and HTML reports have them.*\n"
    return written


def plain(text: str) -> str:
    """Return text in one line that Markdown shows literally; as code if GitHub would link it or notify someone."""
    shown = _shortened(one_line(text))
    escaped = re.sub(r"[&<>\\`*_\[\]|~#@:!{}$^]", lambda found: f"&#{ord(found[0])};", shown)
    return f"<code>{escaped}</code>" if re.search(r"[@#]|://|www\.", shown) else escaped


def code(text: str) -> str:
    """Return the same, always as code."""
    shown = plain(text)
    return shown if not shown or shown.startswith("<code>") else f"<code>{shown}</code>"


def _head(report: Report) -> Iterator[str]:
    yield f"### MCP storage conformance, revision {plain(report.revision)}"
    yield ""
    counts = [labels.counts(backend) for backend in report.backends]
    counted = [label for label in labels.LEGEND if any(label in each for each in counts)]
    yield "| backend | verdict | " + " | ".join(label.words for label in counted) + " |"
    yield "| :-- | :-- |" + " --: |" * len(counted)
    for backend, count in zip(report.backends, counts, strict=True):
        verdict = labels.verdict(backend)
        cells = " | ".join(str(count.get(label, "·")) for label in counted)
        extent = labels.extent(backend, report.tier)
        words = f"{verdict.words} ({extent})" if extent else verdict.words
        yield f"| {code(backend.shown)} | {verdict.mark} {plain(words)} | {cells} |"
    yield ""
    runs = dict.fromkeys(f"{plain(report.about(backend))} · {plain(backend.suite or report.suite)}"
                         for backend in report.backends)  # fmt: skip
    yield " / ".join(runs)
    for backend in report.backends:
        if backend.exercised.words:
            yield f"\n{code(backend.name)} {plain(backend.exercised.words)}"
    for backend in report.backends:
        for cause in backend.causes:
            ids = plain(backend.folded(cause.clauses))
            yield f"\n- {code(backend.name)} {plain(cause.line)}: {ids}"
    for problem in report.problems:
        yield f"\n**The run fails:** {plain(problem)}"


def _details(report: Report) -> Iterator[str]:
    order = (Outcome.FAILED, Outcome.DEVIATION)
    for outcome in order:
        for backend in report.backends:
            for clause in backend.clauses:
                if clause.outcome is outcome:
                    yield _broken(backend, clause)
    for backend in report.backends:
        if reasons := backend.reasons(Outcome.NOT_MEASURED):
            count = backend.count(Outcome.NOT_MEASURED)
            rows = "\n".join(f"- {plain(backend.folded(ids))}: {plain(reason)}" for reason, ids in reasons.items())
            yield _folded(f"? {code(backend.name)}: {count} not measured", rows)


def _broken(backend: BackendReport, clause: ClauseReport) -> str:
    label = labels.label(clause)
    rows = [f"- **{name}** {plain(text)}" for name, text in (
        ("clause", clause.statement), ("should", clause.should), ("known, because", clause.deviation),
        *(("note", note) for note in clause.notes)) if text]  # fmt: skip
    lines = [_shortened(one_line(line)) for line in clause.history]
    if len(lines) > MOST_LINES:
        gone = len(lines) - MOST_LINES
        lines[MOST_LINES // 2 : -MOST_LINES // 2] = [f"… {gone} lines …"]
    body = "\n".join(rows)
    if lines:
        body += "\n\n" + _fenced("\n".join(f"{n:>2}  {line}" for n, line in enumerate(lines, start=1)), "text")
    if clause.reproduce:
        body += "\n\n" + _fenced(printable(clause.reproduce), "sh")
    title = f"{label.mark} {code(backend.name)} {plain(clause.id)} ({plain(clause.level)}): {plain(clause.message)}"
    return _folded(title, body)


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>\n"


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"
