"""GitHub Actions: annotations at the user's own lines, and the Markdown report as the summary of the step."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.report.markdown import as_markdown
from pytest_mcp_storage.report.model import ClauseReport, Report

OURS = Path(__file__).parents[1]
RAISED_AT = re.compile(r"raised at .*?([^\s:]+\.py):(\d+) in [^→]*$")


def annotation_lines(report: Report, makers: Mapping[str, Any]) -> Iterator[str]:
    """Yield an annotation for each cause, as GitHub reads it from the output; nothing outside GitHub Actions."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for backend in report.backends:
        by_id = {clause.id: clause for clause in backend.clauses}
        for cause in backend.causes:
            first = by_id[cause.first]
            place = _raised(first) or _written(makers.get(backend.name))
            title = f"{backend.name}: {cause.first}"
            text = f"{first.message} ({backend.folded(cause.clauses)}: {cause.line})"
            yield f"::error {place}title={_property(title)}::{_escaped(text)}"


def write_summary(report: Report) -> None:
    """Append the Markdown report to the summary of the step, if GitHub names the file."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(as_markdown(report) + "\n")


def _raised(clause: ClauseReport) -> str:
    """Return the store's own line that raised, as properties of an annotation; empty if none is known."""
    found = next((match for note in clause.notes if (match := RAISED_AT.search(note))), None)
    return f"file={_property(found[1])},line={found[2]}," if found else ""


def _written(maker: Any) -> str:
    """Return the line of the user's harness or factory; empty for one of this package."""
    target = getattr(maker, "target", maker)
    try:
        file = Path(inspect.getsourcefile(target) or "").resolve()
        line = inspect.getsourcelines(target)[1]
    except (TypeError, OSError):
        return ""
    if file.is_relative_to(OURS) or not file.is_file():
        return ""
    near = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"file={_property(str(near))},line={line},"


def _escaped(text: str) -> str:
    return one_line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
