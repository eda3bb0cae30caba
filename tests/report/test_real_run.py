"""A real run writes its report in every form at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from pytest_mcp_storage.report.model import NOT_MEASURED, SCHEMA, Report
from pytest_mcp_storage.report.schema import report_schema
from pytest_mcp_storage.report.write import RENDERERS, rendered
from pytest_mcp_storage.spec.outcome import Outcome


def test_a_run_writes_its_report_in_every_form(tmp_path: Path) -> None:
    reports = [f"--mcp-report=report{ending}" for ending in RENDERERS]
    options = ["--mcp-backend=memory", "--mcp-clause=LC-2", "--mcp-tier=smoke", *reports]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = Report.load(tmp_path / "report.json")
    assert {row.id for row in report.backends[0].clauses if row.outcome is Outcome.PASSED} == {"LC-2"}
    assert report.backends[0].verdict == NOT_MEASURED
    for ending in RENDERERS:
        assert (tmp_path / f"report{ending}").read_text(encoding="utf-8") == rendered(report, ending)
        assert f"report{ending}" in done.stdout
    assert "\nmemory: NOT MEASURED (1 passed, " in done.stdout


def test_the_report_of_a_run_fits_the_published_schema(tmp_path: Path) -> None:
    options = ["--mcp-backend=memory", "--mcp-clause=LC-2,EX-2", "--mcp-tier=smoke", "--mcp-report=report.json"]
    subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options], cwd=tmp_path, check=True)
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, report_schema())
    assert data["schema"] == SCHEMA
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "backends": [{**data["backends"][0], "verdict": 1}]}, report_schema())
