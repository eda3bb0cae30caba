"""A report in the form that its file's extension names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mcp_storage.report.model import Report
from pytest_mcp_storage.report.write import RENDERERS, rendered, write

BEGINNINGS = {".json": "{", ".html": "<!doctype html>", ".md": "### MCP storage", ".svg": "<svg "}


def test_every_ending_is_tested() -> None:
    assert set(RENDERERS) == set(BEGINNINGS)


@pytest.mark.parametrize("ending", RENDERERS)
@pytest.mark.parametrize("which", ["every_outcome", "hostile", "unmeasured"])
def test_a_report_is_written_in_the_form_that_the_ending_names(
    ending: str, which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    report: Report = request.getfixturevalue(which)
    path = tmp_path / f"report{ending}"
    write(report, path)
    text = path.read_text(encoding="utf-8")
    assert text == rendered(report, ending)
    assert text.startswith(BEGINNINGS[ending])
    assert text.endswith("\n")
