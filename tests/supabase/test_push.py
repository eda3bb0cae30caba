"""The real Supabase command line takes our project: its config, and its migrations, twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from pytest_mcp_storage.stacks.binaries import supabase_program
from pytest_mcp_storage.stacks.environment import supabase_cli_environment
from pytest_mcp_storage.stacks.kept import KeptServer
from pytest_mcp_storage.stacks.schema import migrations
from tests.stacks.conftest import missing

SUPABASE = Path(__file__).parents[2] / "supabase"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of our project: the command leaves notes in it."""
    shutil.copytree(SUPABASE, tmp_path / "supabase", ignore=shutil.ignore_patterns(".temp", ".branches"))
    return tmp_path


def supabase(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [supabase_program(print), *arguments],
        cwd=project,
        env=supabase_cli_environment(os.environ),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_db_push_applies_the_migrations_and_then_finds_them(server: KeptServer, project: Path) -> None:
    if shutil.which("npm") is None and shutil.which("supabase") is None:
        missing("neither supabase nor npm, which fetches it, is installed")
    stack = server.store(migrated=False)
    push = ("db", "push", f"--remote={stack.database_url}", "--yes")
    first = supabase(project, *push)
    for migration in migrations():
        assert f"Applying migration {migration.name}" in first
    assert "up to date" in supabase(project, *push)
    with psycopg.connect(str(stack.database_url)) as database:
        versions = database.execute("select version from supabase_migrations.schema_migrations order by 1").fetchall()
        assert versions == [(migration.name.partition("_")[0],) for migration in migrations()]
        assert database.execute("select count(*) from mcp_sessions").fetchone() == (0,)
    server.drop(stack)
