"""``mcp-storage reseal``: a store of the environment, sealed under the first key."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_mcp_storage.cli import main
from reference_backends import FileStorageBackend, SessionData, SqliteStorageBackend

OLD, NEW, THIRD = "1" * 64, "2" * 64, "3" * 64
SECRET = "s3cr3t-canary"

STORES = {
    "file": (FileStorageBackend, "MCP_TS_STORAGE_FILE"),
    "sqlite": (SqliteStorageBackend, "MCP_TS_STORAGE_SQLITE_PATH"),
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MCP_TS_STORAGE_TYPE", "REDIS_URL", "MCP_TS_STORAGE_FILE", "MCP_TS_STORAGE_SQLITE_PATH",
                 "SUPABASE_URL", "STORAGE_ENCRYPTION_KEY"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["reseal", *arguments], env=environ)


def fill(kind: str, path: Path, *keys: str | None) -> None:
    async def scenario() -> None:
        for number, key in enumerate(keys):
            backend = STORES[kind][0](path, encryption_key=key)
            await backend.init()
            session = SessionData(
                session_id=f"s{number}", identity="al\x1bice", server_url="u", transport_type="sse", callback_url="c",
                created_at=1, tokens={"a": SECRET},
            )  # fmt: skip
            await backend.create_session(session)
            await backend.disconnect()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", STORES)
def test_it_counts_and_then_seals(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    fill(kind, path, None, OLD, NEW)
    environ = {STORES[kind][1]: str(path), "STORAGE_ENCRYPTION_KEY": f"{NEW},{OLD}"}
    counted = run("--dry-run", **environ)
    assert (counted.exit_code, counted.stdout) == (0, "2 to seal, 1 under the first key already\n")
    assert SECRET.encode() in path.read_bytes()
    done = run("--store", kind, **environ)
    assert (done.exit_code, done.stdout) == (0, "2 sealed, 1 under the first key already\n")
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    again = run(**environ | {"STORAGE_ENCRYPTION_KEY": NEW})
    assert (again.exit_code, again.stdout) == (0, "0 sealed, 3 under the first key already\n")


@pytest.mark.parametrize("kind", STORES)
def test_what_it_cannot_open_is_named_without_its_secrets(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    fill(kind, path, None, *[THIRD] * 25)
    done = run(**{STORES[kind][1]: str(path), "STORAGE_ENCRYPTION_KEY": NEW})
    assert (done.exit_code, done.stdout) == (1, "1 sealed, 0 under the first key already\n")
    assert "not sealed: session 's1' of 'al\\x1bice': tokens of session 's1' cannot be decrypted" in done.stderr
    assert "not sealed: 5 more" in done.stderr
    assert not any(secret in done.output for secret in (SECRET, NEW, THIRD, "enc:"))


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for kind in STORES:
        done = run("--store", kind, STORAGE_ENCRYPTION_KEY=NEW)
        assert done.exit_code == 2
        assert "no file ./sessions" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_read_as_the_store_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run(MCP_TS_STORAGE_SQLITE_PATH=" '~/mine.db' ", STORAGE_ENCRYPTION_KEY=NEW)
    assert f"no file {tmp_path}/mine.db" in done.stderr


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MCP_TS_STORAGE_TYPE": "memory", "STORAGE_ENCRYPTION_KEY": NEW}, "sessions in memory end"),
        ({"MCP_TS_STORAGE_TYPE": "file"}, "STORAGE_ENCRYPTION_KEY is not set"),
        ({"STORAGE_ENCRYPTION_KEY": NEW}, "no storage is selected"),
        ({"STORAGE_ENCRYPTION_KEY": "short", "MCP_TS_STORAGE_SQLITE_PATH": "s"}, "64 hexadecimal digits"),
    ],
)
def test_what_cannot_work_is_refused(environ: dict[str, str], message: str) -> None:
    Path("s").touch()
    done = run(**environ)
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.output
