"""Supabase's advisors, in both major versions of its command line, report nothing about the tables."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pytest_mcp_storage.commands.supabase_init import named
from pytest_mcp_storage.stacks.supabase.binaries import NpmPackage, npm_folder
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from tests.parts import NPM

CLI = {
    "2.122.1": "--db-url={url}",
    "3.1.0": "--remote={url}",
}
"""Version -> the option of ``db advisors`` that names the database."""

OLD_POLICY = """
drop policy "Users can view their own sessions" on mcp_sessions;
create policy "Users can view their own sessions" on mcp_sessions for select to authenticated
    using ((select auth.jwt() ->> 'sub') = user_id and (select auth.jwt() ->> 'sub') = identity)
"""


def advice(version: str, url: str, folder: Path) -> list[dict[str, Any]]:
    NPM.require()
    program = npm_folder(NpmPackage("supabase", "supabase", version), print) / ".bin" / "supabase"
    done = subprocess.run(
        [program, "db", "advisors", CLI[version].format(url=url), "--level=info", "--fail-on=none"],
        cwd=folder,
        env={**os.environ, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    start = done.stdout.find("[")
    return [] if start < 0 else list(json.loads(done.stdout[start:]))


def use_every_index(url: str, table: str) -> None:
    """Use each index once: the advisors report unused indexes too."""
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("set enable_seqscan = off; set enable_bitmapscan = off")
        for condition in ("identity = 'x'", "expires_at <= now()"):
            database.execute(f"select * from public.{table} where {condition}".encode())


@pytest.mark.parametrize("version", CLI)
def test_the_advisors_report_nothing(
    stack: SupabaseStack, database: psycopg.Connection[Any], tmp_path: Path, version: str
) -> None:
    url = str(stack.database_url)
    for text in named("mcp_storage_sessions", tmp_path).values():
        database.execute(text)
    for table in ("mcp_sessions", "mcp_storage_sessions"):
        use_every_index(url, table)
    assert advice(version, url, tmp_path) == []
    database.execute(OLD_POLICY.encode())
    assert {found["name"] for found in advice(version, url, tmp_path)} == {"auth_rls_initplan"}, "the advisors work"
