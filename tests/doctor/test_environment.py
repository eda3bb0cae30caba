"""The doctor on environments, files and SQLite: each planted fault is named, a sound store has none."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reference_backends import FileStorageBackend, SqliteStorageBackend
from tests.doctor.sessions import KEY, SESSION, problems

VARIABLES = {"file": "MCP_TS_STORAGE_FILE", "sqlite": "MCP_TS_STORAGE_SQLITE_PATH"}


@pytest.mark.parametrize(
    ("environ", "check", "said"),
    [
        ({}, "environment.store", "the store is memory"),
        ({"MCP_TS_STORAGE_TYPE": "oracle"}, "environment.store", "MCP_TS_STORAGE_TYPE is none of"),
        ({"MCP_TS_STORAGE_PATH": "x"}, "environment.names", "MCP_TS_STORAGE_PATH"),
        ({"SUPABASE_URL": "https://x.supabase.co"}, "environment.store", "SUPABASE_URL is set without a key"),
        ({"MCP_TS_STORAGE_TYPE": "supabase"}, "supabase.url", "SUPABASE_URL is not set"),
        ({"STORAGE_ENCRYPTION_KEY": "the-password"}, "encryption.key", "64 hexadecimal"),
        ({"MCP_TS_STORAGE_TYPE": "memory"}, "encryption.key", "stored in clear"),
        ({"REDIS_URL": "redis://:the-password@127.0.0.1:1"}, "redis.use", "Redis"),
    ],
)
async def test_a_fault_of_the_environment_is_named(environ: dict[str, str], check: str, said: str) -> None:
    found = await problems(environ)
    assert said in found[check].message


async def test_variables_of_two_stores_are_named(tmp_path: Path) -> None:
    environ = {name: str(tmp_path / store) for store, name in VARIABLES.items()}
    found = await problems(environ)
    assert "MCP_TS_STORAGE_SQLITE_PATH is also set" in found["environment.ambiguous"].message


async def made(store: str, path: Path, *, ttl: float = 3600.0, key: str | None = KEY) -> dict[str, str]:
    """Make a store with one session; return its environment."""
    kind = {"file": FileStorageBackend, "sqlite": SqliteStorageBackend}[store]
    backend = kind(path, encryption_key=key)
    await backend.init()
    await backend.create_session(SESSION, ttl=ttl)
    await backend.disconnect()
    return {VARIABLES[store]: str(path), "STORAGE_ENCRYPTION_KEY": KEY}


@pytest.mark.parametrize("store", VARIABLES)
async def test_a_sound_store_has_no_problem_and_is_not_changed(store: str, tmp_path: Path) -> None:
    path = tmp_path / "store"
    environ = await made(store, path)
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir()))
    assert await problems(environ) == {}
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize("store", VARIABLES)
async def test_a_store_that_does_not_exist_yet_is_not_made(store: str, tmp_path: Path) -> None:
    assert await problems({VARIABLES[store]: str(tmp_path / "new"), "STORAGE_ENCRYPTION_KEY": KEY}) == {}
    assert list(tmp_path.iterdir()) == []


def readable_by_all(path: Path) -> None:
    path.chmod(0o644)


def damaged(path: Path) -> None:
    path.write_bytes(b"[{" + b"x" * 5000)


def in_a_folder_of_all(path: Path) -> None:
    path.parent.chmod(0o777)


@pytest.mark.parametrize("store", VARIABLES)
@pytest.mark.parametrize(
    ("plant", "check"), [(readable_by_all, "permissions"), (damaged, "content"), (in_a_folder_of_all, "folder")]
)
async def test_a_fault_of_a_file_is_named(
    store: str, plant: Callable[[Path], None], check: str, tmp_path: Path
) -> None:
    environ = await made(store, tmp_path / "store")
    plant(tmp_path / "store")
    found = await problems(environ)
    assert (list(found), found[f"{store}.{check}"].level) == ([f"{store}.{check}"], "error")
    assert found[f"{store}.{check}"].remedy


@pytest.mark.parametrize("store", VARIABLES)
async def test_rows_in_clear_and_rows_that_expired_long_ago_are_counted(store: str, tmp_path: Path) -> None:
    environ = await made(store, tmp_path / "store", key=None)
    assert list(await problems(environ)) == [f"{store}.clear"]
    assert list(await problems({VARIABLES[store]: environ[VARIABLES[store]]})) == ["encryption.key"]
    assert list(await problems(environ, lambda: time.time() + 86400)) == [f"{store}.clear", f"{store}.expired"]


async def test_a_relative_path_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(await problems({"MCP_TS_STORAGE_FILE": "s.json", "STORAGE_ENCRYPTION_KEY": KEY})) == ["file.path"]


async def test_another_table_in_the_database_is_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store") as connection:
        connection.execute("CREATE TABLE mcp_sessions (id INTEGER PRIMARY KEY)")
    connection.close()
    (tmp_path / "store").chmod(0o600)
    found = await problems({VARIABLES["sqlite"]: str(tmp_path / "store"), "STORAGE_ENCRYPTION_KEY": KEY})
    assert "sessionId" in found["sqlite.content"].message


async def test_a_large_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_mcp_storage.doctor.files.LARGEST_FILE", 10)
    assert list(await problems(await made("file", tmp_path / "store"))) == ["file.size"]


@pytest.mark.parametrize(("mode", "code"), [(0o600, 0), (0o644, 1)])
def test_the_command_prints_json_and_exits_with_1_for_an_error(mode: int, code: int, tmp_path: Path) -> None:
    environ = asyncio.run(made("file", tmp_path / "store"))
    (tmp_path / "store").chmod(mode)
    command = [sys.executable, "-c", "from pytest_mcp_storage.cli import main; main()", "doctor"]
    environment = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert {finding["level"] for finding in json.loads(done.stdout)} == ({"ok", "error"} if code else {"ok"})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ("fix: chmod 600" in done.stdout, "no problem was found" in done.stdout) == (bool(code), not code)


async def test_a_database_that_is_open_is_examined_with_its_log(tmp_path: Path) -> None:
    path = tmp_path / "store"
    backend = SqliteStorageBackend(path)
    await backend.init()
    await backend.create_session(SESSION, ttl=60)
    assert list(await problems({VARIABLES["sqlite"]: str(path), "STORAGE_ENCRYPTION_KEY": KEY})) == ["sqlite.clear"]
    await backend.disconnect()
