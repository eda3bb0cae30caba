"""Format a measurement for the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from pytest_mcp_storage.report import labels
from pytest_mcp_storage.report.escaping import one_line, printable
from pytest_mcp_storage.spec.clauses import Clause
from pytest_mcp_storage.spec.outcome import Measurement, Outcome

WIDTH = 88
"""Columns at which sentences are wrapped in a wider terminal. Calls are not wrapped: white space in them may be the
fault."""
NARROWEST = 60
SIDES = ("expected", "returned", "differs in")


class FailureText:
    """The text of a failure, of which pytest's summary and JUnit's message take the first line.

    pytest shows a plain text whole in its summary where ``CI`` is set, a second time.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.reprcrash = SimpleNamespace(message=text.split("\n", 1)[0])

    def __str__(self) -> str:
        return self.text

    def toterminal(self, out: Any) -> None:
        out.line(self.text)


def headline(clause: Clause, measured: Measurement) -> str:
    """Return ``EX-2 (MUST): what was observed``, in one line."""
    what = "" if measured.outcome is Outcome.FAILED else f"{measured.outcome.words}: "
    return f"{clause.id} ({clause.level.value}): {what}{one_line(measured.message)}"


def explained(measured: Measurement, clause: Clause, backend: Mapping[str, Any], reproduce: str) -> str:
    """Return what was observed and expected, the clause, the shortest history that shows it, and the command for it."""
    found = measured.scenario.get("finding")
    rows = [
        ("should", measured.should),
        *_sides(found),
        ("contract", clause.statement),
        ("backend", _described(backend)),
    ]
    rows += [("note", note) for note in measured.notes]
    lines = [headline(clause, measured), *(_sentence(name, text) for name, text in rows if text)]
    if measured.history:
        lines += [f"  {labels.history_name(found)}:", *_numbered(measured.history)]
    if measured.fault not in ("", measured.message):
        lines += ["  traceback:", textwrap.indent(printable(measured.fault.rstrip()), "    ")]
    return "\n".join([*lines, f"  reproduce: {printable(reproduce)}"])


def _sides(found: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the expected and the returned value of the call that failed, and the field that differs."""
    if not found:
        return []
    changed = str(found["kind"]).removeprefix("changed ") if str(found["kind"]).startswith("changed ") else ""
    return [("expected", str(found["expected_text"])), ("returned", str(found["returned"])), ("differs in", changed)]


def _described(backend: Mapping[str, Any]) -> str:
    about = [backend["harness"]] if backend["harness"] not in ("", backend["name"]) else []
    about += [f"version {backend['version']}"] if backend["version"] != "unknown" else []
    return f"{backend['name']} ({', '.join(about)})" if about else str(backend["name"])


def _sentence(name: str, text: str) -> str:
    start = f"  {name + ':':<12}" if name in SIDES else f"  {name + ':':<11}"
    width = min(WIDTH, max(NARROWEST, shutil.get_terminal_size().columns))
    return textwrap.fill(
        one_line(text), width, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False
    )


def _numbered(lines: list[str]) -> Iterator[str]:
    """Yield the calls, each result below its call."""
    width = len(str(len(lines)))
    for number, line in enumerate(lines, start=1):
        call, arrow, answer = one_line(line).partition("  →  ")
        yield f"    {number:>{width}}  {call}"
        if arrow:
            yield f"    {'':>{width}}    → {answer}"
