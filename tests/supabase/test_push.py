"""The real Supabase command lines, v2 and v3, accept the project: its config, and its migrations, twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pytest_mcp_storage.commands.supabase_init import named
from pytest_mcp_storage.stacks.environment_variables import supabase_cli_environment
from pytest_mcp_storage.stacks.supabase.binaries import NpmPackage, npm_folder
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from tests.parts import NPM
from tests.supabase.upstream import CLIENT_4

SUPABASE = Path(__file__).parents[2] / "supabase"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the project, because the command writes files into it."""
    shutil.copytree(SUPABASE, tmp_path / "supabase", ignore=shutil.ignore_patterns(".temp", ".branches"))
    return tmp_path


TARGET = {"2.122.1": "--db-url={url}", "3.1.0": "--remote={url}"}
"""Version of the command line -> the option that names the database."""


def push(version: str, project: Path, url: str) -> subprocess.CompletedProcess[str]:
    NPM.require()
    program = npm_folder(NpmPackage("supabase", "supabase", version), print) / ".bin" / "supabase"
    return subprocess.run(
        [program, "db", "push", TARGET[version].format(url=url), "--yes"],
        cwd=project,
        env=supabase_cli_environment(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def bare(server: SupervisedServer) -> Iterator[SupabaseStack]:
    stack = server.store(migrated=False)
    yield stack
    server.drop(stack)


@pytest.mark.parametrize("version", TARGET)
def test_db_push_applies_the_migrations_and_then_finds_them(bare: SupabaseStack, project: Path, version: str) -> None:
    """Also the migrations of a table with another name."""
    folder = project / "supabase" / "migrations"
    for name, text in named("mcp_storage_sessions", folder).items():
        (folder / name).write_bytes(text)
    names = sorted(path.name for path in folder.iterdir())
    first = push(version, project, str(bare.database_url))
    assert first.returncode == 0, first.stdout
    for name in names:
        assert f"Applying migration {name}" in first.stdout
    assert "up to date" in push(version, project, str(bare.database_url)).stdout
    with psycopg.connect(str(bare.database_url)) as database:
        versions = database.execute("select version from supabase_migrations.schema_migrations order by 1").fetchall()
        assert versions == [(name.partition("_")[0],) for name in names]
        for table in ("mcp_sessions", "mcp_storage_sessions"):
            assert database.execute(f"select count(*) from {table}".encode()).fetchone() == (0,)


@pytest.mark.parametrize("version", TARGET)
def test_db_push_shows_why_the_table_of_the_client_is_refused(bare: SupabaseStack, project: Path, version: str) -> None:
    with psycopg.connect(str(bare.database_url), autocommit=True) as database:
        database.execute(CLIENT_4.encode())
    refused = push(version, project, str(bare.database_url))
    assert refused.returncode != 0
    assert "it is the table of @mcp-ts/client" in refused.stdout
    assert "mcp-storage supabase-init --table mcp_storage_sessions" in refused.stdout
