"""``mcp-storage supabase-init`` as a user runs it: the folder, the next steps, and tables of another name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_mcp_storage.cli import main
from pytest_mcp_storage.commands.supabase_init import LONGEST_NAME, named
from pytest_mcp_storage.stacks.supabase.database_schema import migrations
from reference_backends.supabase.push import V2, V3

BOTH = f"`{V2}` (Supabase CLI v2) or `{V3}` (v3; with --yes in CI)"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, on a machine without the program ``supabase``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def init(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["supabase-init", *arguments])
    assert done.exit_code == code, done.output
    return done


def test_it_copies_the_migrations_and_says_what_is_next(project: Path) -> None:
    said = init().output
    for migration in migrations():
        assert (project / "supabase" / "migrations" / migration.name).read_bytes() == migration.read_bytes()
    for step in ("supabase init", "supabase link --project-ref <ref>", BOTH, "SUPABASE_URL", "API Keys"):
        assert step in said
    assert "SUPABASE_SECRET_KEY" in said
    assert "SUPABASE_SERVICE_ROLE_KEY" in said


def test_it_says_why_it_cannot_write(project: Path) -> None:
    (project / "supabase").touch()
    assert "Error: supabase/migrations can't be created or read" in init(code=1).output


def test_it_never_overwrites(project: Path) -> None:
    first, second, *_ = (migration.name for migration in migrations())
    init()
    folder = project / "supabase" / "migrations"
    (folder / first).write_text("-- mine")
    (folder / second).unlink()
    said = init().output
    assert (folder / first).read_text() == "-- mine"
    assert f"left supabase/migrations/{first}: it exists already, and differs" in said
    assert f"wrote supabase/migrations/{second}" in said
    assert "it exists already\n" in init().output


@pytest.mark.parametrize("configuration", ["config.toml", "config.json"])
def test_a_project_above_this_folder_is_the_one(
    project: Path, configuration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Supabase's command line looks upwards too, and would not see a folder below."""
    (project / "supabase").mkdir()
    (project / "supabase" / configuration).touch()
    (project / "src" / "app").mkdir(parents=True)
    monkeypatch.chdir(project / "src" / "app")
    said = init().output
    assert "wrote ../../supabase/migrations/" in said
    assert "supabase init" not in said.replace("supabase-init", "")
    assert len(list((project / "supabase" / "migrations").iterdir())) == len(migrations())


def npm_package(folder: Path, version: str, name: str = "supabase") -> Path:
    """Create a package as npm installs it, and its program."""
    program = folder / "node_modules" / "supabase" / "dist" / "supabase.js"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    (program.parents[1] / "package.json").write_text(json.dumps({"name": name, "version": version}))
    return program


@pytest.mark.parametrize(("version", "command"), [("2.122.1", V2), ("3.1.0", V3), ("4.0.0-beta.1", V3), ("1.9.0", V2)])
@pytest.mark.parametrize("where", ["the PATH", "the project"])
def test_the_installed_command_line_decides(project: Path, version: str, command: str, where: str) -> None:
    program = npm_package(project, version)
    if where == "the PATH":
        (project / "bin").mkdir()
        elsewhere = program.parents[1].rename(project / "global")
        (project / "bin" / "supabase").symlink_to(elsewhere / "dist" / "supabase.js")
    said = init().output
    assert f"`{command}`" in said
    assert ({V2, V3} - {command}).pop() not in said
    assert ("--yes in CI" in said) is (command == V3)


def test_a_program_that_is_no_npm_package_is_asked(project: Path) -> None:
    """Of a Debian package, or of a release page."""
    program = project / "bin" / "supabase"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho A new version is available\necho 3.1.0\n")
    program.chmod(0o755)
    assert f"`{V3}`" in init().output
    program.write_text("#!/bin/sh\nexit 1\n")
    assert BOTH in init().output


def test_a_table_of_another_name_fits_next_to_ours(project: Path) -> None:
    init()
    said = init("--table", "agent_sessions").output
    assert 'SupabaseStorageBackend(client, table="agent_sessions")' in said
    files = sorted(path.name for path in (project / "supabase" / "migrations").iterdir())
    assert len(files) == 2 * len(migrations())
    assert len({name.partition("_")[0] for name in files}) == len(files), "a version number counts once in a project"
    ours = [name for name in files if "agent_sessions" in name]
    assert [name.partition("_")[2] for name in ours] == [
        migration.name.partition("_")[2].replace("mcp_sessions", "agent_sessions") for migration in migrations()
    ]
    for name in ours:
        assert "mcp_sessions" not in (project / "supabase" / "migrations" / name).read_text()
    assert init("--table", "agent_sessions").output.count("it exists already\n") == len(ours)


def test_a_version_number_that_is_taken_is_passed_over(project: Path) -> None:
    first = min(named("agent_sessions", project))
    (project / f"{first.partition('_')[0]}_mine.sql").touch()
    again = min(named("agent_sessions", project))
    assert again.partition("_")[0] > first.partition("_")[0]


@pytest.mark.parametrize("name", ["", "Mine", "my table", "a-b", 'a"b', "a;b", "1a", "a" * (LONGEST_NAME + 1)])
def test_a_name_that_is_none_is_refused(project: Path, name: str) -> None:
    assert "--table" in init(f"--table={name}", code=2).output
    assert not (project / "supabase").exists()
