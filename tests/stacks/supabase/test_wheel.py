"""The wheel contains the stack: migrations, platform and commands, without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_mcp_storage.stacks.supabase.database_schema import migrations

STACK = """
import httpx, pytest_mcp_storage
from pytest_mcp_storage.stacks.supabase import native, database_schema
print(pytest_mcp_storage.__file__, database_schema.migrations_folder())
with native.start() as server:
    stack = server.store()
    print(httpx.get(stack.url + "/rest/v1/mcp_sessions", headers={"apikey": stack.secret_key}).json())
"""


def run(wheel: Path, folder: Path, code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_stack_runs_from_it(wheel: Path, tmp_path: Path) -> None:
    where, rows = run(wheel, tmp_path, STACK).splitlines()
    assert all(str(wheel) in path for path in where.split())
    assert rows == "[]"


def test_supabase_init_copies_its_migrations(wheel: Path, tmp_path: Path) -> None:
    run(wheel, tmp_path, "from pytest_mcp_storage.cli import main; main(['supabase-init'])")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "supabase" / "migrations").iterdir()}
    assert copied == {migration.name: migration.read_bytes() for migration in migrations()}
    assert len(copied) == 3
