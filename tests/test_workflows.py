"""The workflow that users copy speaks of commands and options that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mcp_storage.cli import COMMANDS

ROOT = Path(__file__).parents[1]
WORKFLOWS = {name: ROOT / name for name in ("docs/ci/conformance.yml", ".github/workflows/ci.yml")}


@pytest.fixture(params=WORKFLOWS)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(WORKFLOWS[request.param].read_text())
    return loaded


def test_each_step_runs_or_uses_something(workflow: dict[str, Any]) -> None:
    for job in workflow["jobs"].values():
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])


def test_the_users_workflow_judges_every_bundled_store_by_options_that_exist() -> None:
    text = WORKFLOWS["docs/ci/conformance.yml"].read_text()
    (job,) = yaml.safe_load(text)["jobs"].values()
    assert job["strategy"]["matrix"]["backend"] == ["memory", "file", "sqlite", "redis", "supabase"]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    options = set(re.findall(r"--mcp-[a-z]+(?:-[a-z]+)*", text))
    assert options == {"--mcp-backend", "--mcp-report", "--mcp-supabase", "--mcp-allow-destructive"}
    assert [option for option in options if option not in told.stdout] == []
    assert set(re.findall(r"mcp-storage (\S+)\n", text)) == {"supabase-init"} <= set(COMMANDS)


def test_the_readme_holds_the_workflow_as_it_is() -> None:
    assert ".github/workflows" in (ROOT / "docs/ci.md").read_text()
