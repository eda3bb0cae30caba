"""No environment makes the cli provider touch another project than the run's.

Supabase's command line reads a project's settings from ``SUPABASE_*``, and the project itself from
``SUPABASE_PROJECT_ID``. A ``docker`` that only records its calls shows which project they are for.
"""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mcp_storage.stacks.environment_variables import supabase_cli_environment
from pytest_mcp_storage.stacks.servers import Note
from pytest_mcp_storage.stacks.supabase import supabase_cli
from pytest_mcp_storage.stacks.supabase.binaries import NpmPackage, npm_folder
from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys
from pytest_mcp_storage.stacks.supabase.stack import MAX_ROWS
from pytest_mcp_storage.stacks.supabase.supabase_cli import CliServers
from reference_backends.core.errors import StorageSetupError
from tests.parts import NPM

# The engine reports every container as running, so that the real command line pulls nothing.
DOCKER = """#!/bin/sh
printf '%s\\n' "$*" >> {notes}
case "$1 $2" in
  "version "*) echo 28.0.0;;
  "container inspect") echo '{{"Status":"running","Running":true,"Health":{{"Status":"healthy"}}}}';;
  "ps "*) for part in kong auth rest db; do echo "supabase_${{part}}_${{3#*project=}}"; done;;
esac
"""

# A faster stand-in for the real one: which project and ports it uses, and what it stops.
SUPABASE = """#!/bin/sh
config=supabase/config.toml
setting() {{ sed -n "s/^$1 = \\"*\\([^\\"]*\\)\\"*/\\1/p" $config | sed -n "$2p"; }}
project=${{SUPABASE_PROJECT_ID:-$(setting project_id 1)}}
command=$1
while [ $# -gt 0 ]; do [ "$1" = --project-id ] && project=$2; shift; done
[ -z "$SUPABASE_EXPERIMENTAL_STACK" ] || exit 1
case $command in
  start) docker container inspect "supabase_db_$project";;
  status) echo '{{"API_URL": "http://127.0.0.1:'${{SUPABASE_API_PORT:-$(setting port 1)}}'",' \\
    '"DB_URL": "postgresql://127.0.0.1:'${{SUPABASE_DB_PORT:-$(setting port 2)}}'/postgres", "SECRET_KEY": "k"}}';;
  stop) for what in container volume network; do
    docker $what prune --force --filter "label=com.supabase.cli.project=$project"; done;;
esac
"""

VICTIM = {"SUPABASE_PROJECT_ID": "victim"}
ENVIRONMENTS: list[dict[str, str]] = [
    VICTIM,
    {"SUPABASE_PROJECT_ID": ""},
    {"SUPABASE_PROJECT_ID": "victim", "SUPABASE_WORKDIR": "/srv/victim"},
    {"SUPABASE_PROJECT_REF": "victim"},
    {"PROJECT_ID": "victim"},
    {"SUPABASE_WORKDIR": "/srv/victim"},
    {"WORKDIR": "/srv/victim"},
    {"SUPABASE_API_PORT": "1"},
    {"SUPABASE_DB_PORT": "1"},
    {"SUPABASE_API_PORT": "1", "SUPABASE_DB_PORT": "2", "SUPABASE_DB_SHADOW_PORT": "3"},
    {"SUPABASE_AUTH_ENABLED": "false"},
    {"SUPABASE_API_ENABLED": "false"},
    {"SUPABASE_DB_MAJOR_VERSION": "15"},
    {"SUPABASE_API_MAX_ROWS": "1"},
    {"SUPABASE_EXPERIMENTAL": "true"},
    {"SUPABASE_EXPERIMENTAL_STACK": "1"},
    {"SUPABASE_EXPERIMENTAL_STACK": "1", **VICTIM},
    {"SUPABASE_PROFILE": "victim"},
    {"SUPABASE_ENV": "production", **VICTIM},
    {"SUPABASE_NETWORK_ID": "victim"},
    {"SUPABASE_YES": "true", **VICTIM},
    {"SUPABASE_ACCESS_TOKEN": "sbp_victim"},
    {"SUPABASE_DB_PASSWORD": "victim"},
    {"SUPABASE_URL": "https://victim.supabase.co", "SUPABASE_SECRET_KEY": "sb_secret_victim"},
    {"SUPABASE_DB_URL": "postgresql://victim/postgres"},
    {"SUPABASE_AUTH_JWT_SECRET": "of the victim, with at least 32 characters"},
    {"SUPABASE_CLI_BINARY_OVERRIDE": "/bin/false"},
    {"COMPOSE_PROJECT_NAME": "victim"},
    {"supabase_project_id": "victim", "Supabase_Project_Id": "victim"},
    {"NODE_OPTIONS": "--no-such-option", "BUN_OPTIONS": "--no-such-option"},
    {"ENV": "/srv/victim.sh", "BASH_ENV": "/srv/victim.sh"},
    {"PGSERVICE": "victim", "PGHOST": "victim", "DATABASE_URL": "postgresql://victim/postgres"},
]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Put the stand-in ``docker`` on the PATH; the result returns its calls."""
    notes, programs = tmp_path / "notes", tmp_path / "bin"
    programs.mkdir()
    notes.touch()
    play(programs / "docker", DOCKER.format(notes=notes))
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return lambda: notes.read_text().splitlines()


@pytest.fixture
def stand_in(tmp_path: Path, docker: Callable[[], list[str]]) -> Path:
    return play(tmp_path / "bin" / "supabase", SUPABASE.format())


def play(program: Path, text: str) -> Path:
    program.write_text(text)
    program.chmod(0o755)
    return program


async def start_and_stop(folder: Path, program: Path) -> CliServers:
    """Do what a run does, in this process. The folder has a name of a run."""
    run = folder / "mcp-storage-stack-ab_c0def"
    run.mkdir()
    servers = CliServers(run, ProjectKeys.generate(), program=str(program))
    try:
        await servers.start(Note(lambda message: None))
        await servers.add("store", migrated=True, max_rows=MAX_ROWS)
    finally:
        await servers.stop()
        shutil.rmtree(run)
    return servers


def is_of(call: str, project: str) -> bool:
    """Return whether a call is only for the project."""
    named = re.findall(r"project=(\S+)", call) + re.findall(r"supabase_[a-z]+_(\S+)", call)
    return set(named) <= {project} and "victim" not in call


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda each: ",".join(each))
async def test_only_the_runs_own_project_is_touched(
    environment: dict[str, str],
    tmp_path: Path,
    docker: Callable[[], list[str]],
    stand_in: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    servers = await start_and_stop(tmp_path, stand_in)
    assert servers.project == "mcp-storage-stack-ab-c0def"
    assert [call.split()[1] for call in docker()] == ["inspect", "prune", "prune", "prune"]
    assert [call for call in docker() if not is_of(call, servers.project)] == []
    assert len(set(servers.ports.values())) == 3
    assert servers.reported["API_URL"].endswith(f":{servers.ports['api']}")


async def test_a_program_that_starts_another_project_is_refused_and_that_project_left_alone(
    tmp_path: Path, docker: Callable[[], list[str]], stand_in: Path
) -> None:
    """The program on the PATH may be a script that sets the variables again."""
    text = stand_in.read_text().replace("\n", "\nSUPABASE_PROJECT_ID=victim SUPABASE_DB_PORT=1\n", 1)
    play(stand_in, text)
    with pytest.raises(StorageSetupError, match="another project than mcp-storage-stack-ab-c0def"):
        await start_and_stop(tmp_path, stand_in)
    prunes = [call for call in docker() if "prune" in call]
    assert len(prunes) == 3
    assert all(is_of(call, "mcp-storage-stack-ab-c0def") for call in prunes)


async def test_the_stand_in_reads_the_environment_as_the_real_one_does(
    tmp_path: Path, docker: Callable[[], list[str]], stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the tests above would prove nothing."""
    monkeypatch.setattr(supabase_cli, "supabase_cli_environment", dict)
    monkeypatch.setenv("SUPABASE_PROJECT_ID", "victim")
    await start_and_stop(tmp_path, stand_in)
    assert "container inspect supabase_db_victim" in docker()


@pytest.mark.parametrize("version", ["3.1.0", "2.122.1"])
async def test_the_real_command_line_touches_only_the_runs_own_project(
    version: str, tmp_path: Path, docker: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    NPM.require()
    program = npm_folder(NpmPackage("supabase", "supabase", version), print) / ".bin" / "supabase"
    for environment in ENVIRONMENTS:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
    servers = await start_and_stop(tmp_path, program)
    assert [call for call in docker() if not is_of(call, servers.project)] == []
    assert f"volume prune --force --filter label=com.supabase.cli.project={servers.project}" in docker()


def test_what_the_command_line_needs_is_passed_on() -> None:
    needed = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "DOCKER_HOST": "tcp://engine:2375",
        "DOCKER_CONTEXT": "remote",
        "HTTPS_PROXY": "http://proxy",
        "no_proxy": "localhost",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "LC_ALL": "C.UTF-8",
        "XDG_CONFIG_HOME": "/home/me/.config",
        "SUPABASE_INTERNAL_IMAGE_REGISTRY": "mirror.example",
    }
    assert supabase_cli_environment({**needed, **VICTIM}) == {**needed, "DO_NOT_TRACK": "1"}
    assert set(supabase_cli_environment(os.environ)) <= {*os.environ, "DO_NOT_TRACK"}


def test_the_projects_configuration_is_the_command_lines() -> None:
    ports = {"api": 1, "db": 2, "shadow": 3}
    assert tomllib.loads(supabase_cli.CONFIG.format(project="p", max_rows=MAX_ROWS, **ports))["project_id"] == "p"
