"""Write a report to a file, in the form that the file's extension names."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.report.model import Report

RENDERERS = {
    ".json": "pytest_mcp_storage.report.write:as_json",
    ".html": "pytest_mcp_storage.report.html:as_html",
    ".md": "pytest_mcp_storage.report.markdown:as_markdown",
    ".svg": "pytest_mcp_storage.report.badge:as_badge",
}


def as_json(report: Report) -> str:
    """Return the whole report as JSON text."""
    return json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n"


def rendered(report: Report, ending: str) -> str:
    """Return the report in the form that ``ending`` names, in a text that can be encoded.

    A store may return a lone surrogate, which no encoding accepts; it is written as JSON and Python escape it.
    """
    module, _, name = RENDERERS[ending].partition(":")
    renderer: Callable[[Report], str] = getattr(import_module(module), name)
    return renderer(report).encode("utf-8", "backslashreplace").decode("utf-8")


def write(report: Report, path: Path) -> None:
    """Write the report. Raise ``OSError`` if the file can't be written."""
    path.write_text(rendered(report, path.suffix), encoding="utf-8", newline="\n")
