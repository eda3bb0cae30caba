"""The workflow that users copy speaks of commands and options that there are."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mcp_storage.cli import COMMANDS
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.stacks.signing import private_jwk
from pytest_mcp_storage.stacks.supabase import supabase_cli
from pytest_mcp_storage.stacks.supabase.binaries import NpmPackage, npm_folder
from pytest_mcp_storage.stacks.supabase.stack import VARIABLES, SupabaseStack
from tests.parts import NPM
from tests.stacks.supabase.test_cli_environment import DOCKER

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
    reported = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    options = set(re.findall(r"--mcp-[a-z]+(?:-[a-z]+)*", text))
    assert options == {"--mcp-backend", "--mcp-report", "--mcp-supabase", "--mcp-allow-destructive"}
    assert [option for option in options if option not in reported.stdout] == []
    assert set(re.findall(r"mcp-storage (\S+)\n", text)) == {"supabase-init"} <= set(COMMANDS)


def test_every_python_and_system_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = {each for line in project["classifiers"] if (each := line.rpartition(" :: ")[2]).startswith("3.")}
    jobs = yaml.safe_load(WORKFLOWS[".github/workflows/ci.yml"].read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["others"]["strategy"]["matrix"]["include"]
    assert {"3.13", *(each["python"] for each in matrix)} == promised
    systems = {each["os"].partition("-")[0] for each in matrix} | {jobs["windows"]["runs-on"].partition("-")[0]}
    assert systems == {"ubuntu", "macos", "windows"}


def test_what_is_judged_on_windows_is_all_but_the_clause_on_posix_permissions(pytestconfig: pytest.Config) -> None:
    jobs = yaml.safe_load(WORKFLOWS[".github/workflows/ci.yml"].read_text(encoding="utf-8"))["jobs"]
    runs = [step["run"] for step in jobs["windows"]["steps"] if "pytest" in step.get("run", "")]
    memory, sqlite = (pytestconfig._parser.parse(shlex.split(run)[3:]) for run in runs)
    assert (memory.mcp_backend, sqlite.mcp_backend) == (["memory"], ["sqlite"])
    selected = set(sqlite.mcp_clause[0].split(","))
    assert [each.id for each in load_clauses() if not {each.id, each.group} & selected] == ["DU-5"]


def start_step(name: str) -> str:
    """Return the script that starts Supabase in a workflow."""
    jobs = yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))["jobs"].values()
    (step,) = (step for job in jobs for step in job["steps"] if step.get("name") == "Start Supabase")
    return str(step["run"])


@pytest.mark.parametrize("version", ["3.1.0", "2.122.1"])
@pytest.mark.parametrize(("name", "keys"), [("docs/ci/conformance.yml", ""), (".github/workflows/ci.yml", "es256")])
def test_a_project_is_started_and_handed_on_by_names_that_the_command_line_knows(
    tmp_path: Path, version: str, name: str, keys: str
) -> None:
    """The real command line, with an engine that says that all containers run."""
    NPM.require()
    supabase = npm_folder(NpmPackage("supabase", "supabase", version), print) / ".bin"
    (tmp_path / "docker").write_text(DOCKER.format(notes=tmp_path / "notes"))
    (tmp_path / "docker").chmod(0o755)
    handed_on = tmp_path / "env"
    programs = os.pathsep.join(map(str, (tmp_path, supabase, Path(sys.executable).parent, os.environ["PATH"])))
    variables = {"PATH": programs, "GITHUB_ENV": str(handed_on), "KEYS": keys, "DO_NOT_TRACK": "1"}
    hosted = {one: value for one, value in os.environ.items() if not one.startswith("SUPABASE_")}
    command = ["bash", "-e", "-c", start_step(name)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**hosted, **variables}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    environ = dict(line.split("=", 1) for line in handed_on.read_text().splitlines())
    stack = SupabaseStack(
        **{attribute: environ.get(one) for one, attribute in VARIABLES.items()},  # type: ignore[arg-type]
        provider="url",
        owned=False,
        isolated=False,
    )
    assert stack.url == "http://127.0.0.1:54321"
    assert str(stack.server_key).startswith("sb_secret_")
    assert str(stack.public_key).startswith("sb_publishable_")
    assert stack.database_url
    if keys == "es256":
        assert private_jwk(str(stack.signing_key)) == json.loads(
            str(supabase_cli.signing_key(tmp_path / "supabase/config.toml"))
        )
    else:
        assert stack.jwt_secret


def test_the_readme_holds_the_workflow_as_it_is() -> None:
    assert ".github/workflows" in (ROOT / "docs/ci.md").read_text()
