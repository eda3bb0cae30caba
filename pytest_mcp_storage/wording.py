"""A measurement in words, as a person reads it in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.clauses import Clause
from pytest_mcp_storage.outcome import Measurement, Outcome


def headline(clause: Clause, measured: Measurement) -> str:
    """``EX-2 (MUST): what was seen``, in one line."""
    what = "" if measured.outcome is Outcome.FAILED else f"{measured.outcome.words}: "
    return f"{clause.id} ({clause.level.value}): {what}{measured.message}"


def explained(measured: Measurement, clause: Clause, backend: Mapping[str, Any], reproduce: str) -> str:
    """What was seen, what should have been, the clause, the shortest history that shows it, and how to see it again."""
    rows = [("should", measured.should), ("contract", clause.statement)]
    rows.append(("backend", f"{backend['name']} ({backend['harness']}, version {backend['version']})"))
    if measured.history:
        rows.append(("history", _numbered(measured.history)))
    rows += [("note", note) for note in measured.notes]
    if measured.fault:
        rows.append(("traceback", _indented(measured.fault)))
    rows.append(("reproduce", reproduce))
    lines = [f"  {name + ':':<11}{text}" for name, text in rows if text]
    return "\n".join([headline(clause, measured), *lines])


def _numbered(lines: list[str]) -> str:
    width = len(str(len(lines)))
    return "".join(f"\n    {number:>{width}}  {line}" for number, line in enumerate(lines, start=1))


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in text.rstrip().splitlines())
