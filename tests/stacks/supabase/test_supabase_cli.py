"""The cli provider with a stand-in for the command: Supabase's images are not available everywhere.

test_docker.py runs the real command without its images; tests/supabase runs its ``db push``.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pytest_mcp_storage.stacks.supabase import supabase_cli
from pytest_mcp_storage.stacks.supabase.database_schema import migrations
from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys
from pytest_mcp_storage.stacks.supabase.stack import MAX_ROWS
from reference_backends.core.errors import StorageSetupError

STATUS = {
    "API_URL": "http://127.0.0.1:54321",  # the stand-in puts its project's ports here
    "DB_URL": "postgresql://postgres:postgres@127.0.0.1:54322/postgres",
    "ANON_KEY": "anon",
    "SERVICE_ROLE_KEY": "service",
    "JWT_SECRET": "a-secret-of-at-least-32-characters",
    "PUBLISHABLE_KEY": "sb_publishable_x",
    "SECRET_KEY": "sb_secret_x",
    "STUDIO_URL": None,
}

# It notes its arguments, and the project's files at that moment.
STAND_IN = """#!{python}
import json, pathlib, re, sys
notes = pathlib.Path({notes!r})
arguments = sys.argv[1:]
project = pathlib.Path(arguments[arguments.index("--workdir") + 1] if "--workdir" in arguments else ".", "supabase")
files = {{str(path.relative_to(project)): path.read_text() for path in project.rglob("*") if path.is_file()}}
with notes.open("a") as out:
    out.write(json.dumps([arguments, files]) + "\\n")
if arguments[0] == "status" and "--workdir" not in arguments and not {up}:
    print("failed to inspect container health", file=sys.stderr)
    sys.exit(1)
if arguments[0] == "status":
    print("Stopped services: [studio]")
    ports = re.findall("port = ([0-9]+)", files.get("config.toml", ""))
    status = {status!r}
    print(status.replace("54321", ports[0]).replace("54322", ports[1]) if ports else status)
"""


class Stage:
    """A PATH with the stand-in, and what it noted."""

    def __init__(self, folder: Path, *, up: bool, status: str) -> None:
        self.notes = folder / "notes"
        self.program = folder / "supabase"
        self.up = up
        self.play(status)

    def play(self, status: str) -> None:
        """Put the stand-in on the PATH; it prints ``status``."""
        text = STAND_IN.format(python=sys.executable, notes=str(self.notes), up=self.up, status=status)
        self.program.write_text(text)
        self.program.chmod(0o755)

    def asked(self) -> list[tuple[str, dict[str, str]]]:
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [(arguments[0], files) for arguments, files in map(json.loads, lines)]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Stage:
    settings = {"up": False, "status": json.dumps(STATUS), **getattr(request, "param", {})}
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr(supabase_cli, "check_docker", lambda: None)
    monkeypatch.chdir(tmp_path)
    return Stage(tmp_path / "bin", **settings)


def test_it_starts_a_separate_project_and_ends_it(stage: Stage) -> None:
    with supabase_cli.start() as server:
        stack = server.store()
        url = stack.url
        assert (stack.service_role_key, stack.jwt_secret) == (STATUS["SERVICE_ROLE_KEY"], STATUS["JWT_SECRET"])
        assert (stack.publishable_key, stack.secret_key) == (STATUS["PUBLISHABLE_KEY"], STATUS["SECRET_KEY"])
        assert (stack.provider, stack.owned, stack.isolated) == ("cli", True, True)
        with pytest.raises(StorageSetupError, match="one store"):
            server.store()
        with pytest.raises(StorageSetupError, match="can't be stopped"):
            server.pause(stack)
    (first, files), *rest = stage.asked()
    assert (first, [command for command, _ in rest]) == ("start", ["status", "stop"])
    assert {name for name in files if name.startswith("migrations/")} == {
        f"migrations/{one.name}" for one in migrations()
    }
    config = tomllib.loads(files["config.toml"])
    assert config["api"]["max_rows"] == 1000
    assert len({config["api"]["port"], config["db"]["port"], config["db"]["shadow_port"]}) == 3
    assert url == f"http://127.0.0.1:{config['api']['port']}"


def test_the_first_failure_is_reported_after_long_output(stage: Stage) -> None:
    """A progress bar is one long line. The command that ends a project fails as the one that starts it."""
    stage.program.write_text(
        "#!/bin/sh\nhead -c 200000 /dev/zero | tr '\\0' . >&2\nprintf '\\n%s found no room\\n' $1 >&2\nexit 1\n"
    )
    with pytest.raises(StorageSetupError, match=r"supabase start failed: .*start found no room$") as raised:
        supabase_cli.start()
    assert len(str(raised.value)) < 1000


async def test_its_store_is_emptied_for_the_next_caller(tmp_path: Path, database: psycopg.Connection[Any]) -> None:
    servers = supabase_cli.CliServers(tmp_path, ProjectKeys.generate(), program="supabase")
    servers.reported = {"API_URL": "http://u", "DB_URL": f"{database.info.dsn} password={database.info.password}"}
    database.execute(
        "insert into mcp_sessions"
        " (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at)"
        " values ('s', 'u', 'u', '', 'sse', '', now())"
    )
    await servers.add("one", migrated=True, max_rows=MAX_ROWS)
    await servers.remove("one")
    assert database.execute("select count(*) from mcp_sessions").fetchone() == (0,)
    assert (await servers.add("two", migrated=True, max_rows=MAX_ROWS)).address == "http://u"


@pytest.mark.parametrize("stage", [{"up": True}], indirect=True)
@pytest.mark.parametrize("configuration", ["config.toml", "config.json"])
def test_a_project_that_is_up_is_used_and_left_up(stage: Stage, tmp_path: Path, configuration: str) -> None:
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase" / configuration).write_text("")
    with supabase_cli.start() as server:
        stack = server.store()
        assert (stack.url, stack.owned, stack.isolated) == (STATUS["API_URL"], False, False)
    assert [command for command, _ in stage.asked()] == ["status"]


def test_a_users_project_that_is_down_is_not_started(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase" / "config.toml").write_text("# mine")
    with supabase_cli.start() as server:
        assert server.store().owned
    assert [command for command, _ in stage.asked()] == ["status", "start", "status", "stop"]
    assert "# mine" not in stage.asked()[1][1]["config.toml"]


@pytest.mark.parametrize(
    "stage",
    [{"status": json.dumps({**STATUS, "ANON_KEY": "", "SERVICE_ROLE_KEY": "", "JWT_SECRET": ""})}],
    indirect=True,
)
@pytest.mark.usefixtures("stage")
def test_a_project_without_the_legacy_keys_is_used() -> None:
    with supabase_cli.start() as server:
        stack = server.store()
        assert (stack.server_key, stack.public_key, stack.jwt_secret) == ("sb_secret_x", "sb_publishable_x", None)


@pytest.mark.parametrize("stage", [{"status": "{}"}], indirect=True)
def test_a_status_without_keys_says_what_to_do(stage: Stage) -> None:
    with pytest.raises(StorageSetupError, match="npm install supabase"):
        supabase_cli.start()
    assert [command for command, _ in stage.asked()] == ["start", "status", "stop"]


def test_without_docker_it_fails_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StorageSetupError, match="no Docker engine"):
        supabase_cli.start()
    assert not (tmp_path / "cache").exists()
