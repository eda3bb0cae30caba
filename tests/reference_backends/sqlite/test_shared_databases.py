"""A database that other applications use, too: only the store's part is checked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reference_backends import SqliteStorageBackend, StorageSetupError
from reference_backends.sqlite import check
from reference_backends.sqlite import database as sqlite_database
from tests.reference_backends.sqlite.conftest import Build, connected

PAGE = 4096

OURS = """
    CREATE TABLE mcp_sessions (
        sessionId TEXT PRIMARY KEY, identity TEXT NOT NULL, data TEXT NOT NULL, expiresAt INTEGER
    );
"""


def by_the_application(path: Path, sql: str) -> None:
    """Run a script with the functions and collations that only the application has."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_collation("app_fold", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
        connection.create_function("app_ok", 1, lambda _: 1, deterministic=True)
        connection.executescript(sql)


THEIRS = {
    "a collation": "CREATE TABLE notes (t TEXT COLLATE app_fold); CREATE INDEX i ON notes (t);"
    "INSERT INTO notes VALUES ('b'), ('A');",
    "a function in a CHECK": "CREATE TABLE notes (t TEXT, CHECK (app_ok(t))); INSERT INTO notes VALUES ('b');",
    "a function in an index": "CREATE TABLE notes (t TEXT); CREATE INDEX i ON notes (app_ok(t));"
    "INSERT INTO notes VALUES ('b');",
    "a function in a generated column": "CREATE TABLE notes (t TEXT, u AS (app_ok(t)) STORED);"
    "INSERT INTO notes VALUES ('b');",
    "a row against a CHECK": "CREATE TABLE notes (n INTEGER CHECK (n > 0)); PRAGMA ignore_check_constraints = ON;"
    "INSERT INTO notes VALUES (-1);",
    "a NULL against NOT NULL": "CREATE TABLE notes (n INTEGER); INSERT INTO notes VALUES (NULL);"
    "PRAGMA writable_schema = ON;"
    "UPDATE sqlite_master SET sql = 'CREATE TABLE notes (n INTEGER NOT NULL)' WHERE name = 'notes';",
    "a broken foreign key": "CREATE TABLE notes (n REFERENCES users (id)); INSERT INTO notes VALUES (1);",
    "a trigger": "CREATE TABLE notes (t); CREATE TRIGGER g AFTER INSERT ON notes BEGIN SELECT app_ok(new.t); END;",
    "a view of a missing table": "CREATE VIEW v AS SELECT app_ok(a) FROM nowhere;",
    "a virtual table of a missing extension": "CREATE TABLE t (a); PRAGMA writable_schema = ON;"
    "INSERT INTO sqlite_master VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING vec0(e float[3])');",
    "a full text index": "CREATE VIRTUAL TABLE f USING fts5 (t); INSERT INTO f VALUES ('words');",
    "an application id": "PRAGMA application_id = 1234; CREATE TABLE notes (t);",
    "a rollback journal": "PRAGMA journal_mode = DELETE; CREATE TABLE notes (t);",
    "its own WAL": "PRAGMA journal_mode = WAL; CREATE TABLE notes (t); INSERT INTO notes VALUES (1);",
    "auto_vacuum": "PRAGMA auto_vacuum = FULL; VACUUM; CREATE TABLE notes (t);",
    "small pages": "PRAGMA page_size = 512; VACUUM; CREATE TABLE notes (t);",
}


async def used(path: Path, session: Build) -> None:
    """Make every kind of call twice."""
    backend = SqliteStorageBackend(path)
    for _ in range(2):
        await backend.init()
        await backend.create_session(session(tokens={"a": "x" * 9000}))
        await backend.update_session("alice", "s1", {"server_name": "n"})
        assert await backend.get_session("alice", "s1") == session(tokens={"a": "x" * 9000}, server_name="n")
        await backend.cleanup_expired_sessions()
        await backend.remove_session("alice", "s1")
        await backend.clear_all()
        await backend.disconnect()


@pytest.mark.parametrize("table", ["missing", "there"])
@pytest.mark.parametrize("theirs", THEIRS)
def test_what_another_application_keeps_there_is_no_hindrance(
    path: Path, session: Build, theirs: str, table: str
) -> None:
    by_the_application(path, THEIRS[theirs])
    if table == "there":
        by_the_application(path, OURS)
    asyncio.run(used(path, session))


def damaged(path: Path, table: str) -> None:
    """Overwrite the b-tree header of a table."""
    with connected(path) as connection:
        [(root,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
    content = bytearray(path.read_bytes())
    content[(root - 1) * PAGE : (root - 1) * PAGE + 8] = b"\xee" * 8
    path.write_bytes(content)


@pytest.mark.parametrize("limit", ["whole", "edges"])
def test_the_damage_of_another_table_is_not_ours(
    path: Path, session: Build, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit == "edges":
        monkeypatch.setattr(check, "WHOLE_CHECK", 0)
    by_the_application(path, f"CREATE TABLE notes (t); INSERT INTO notes VALUES (1); {OURS}")
    damaged(path, "notes")
    asyncio.run(used(path, session))


def test_the_damage_of_our_table_is_ours(path: Path) -> None:
    by_the_application(path, f"CREATE TABLE notes (t); INSERT INTO notes VALUES (1); {OURS}")
    damaged(path, "mcp_sessions")
    before = path.read_bytes()
    with pytest.raises(StorageSetupError, match="is damaged"):
        asyncio.run(SqliteStorageBackend(path).init())
    assert path.read_bytes() == before


def test_damage_of_the_free_pages_is_ours(path: Path) -> None:
    """The next page that a write takes is one of them."""
    by_the_application(path, f"CREATE TABLE notes (t); {OURS}")
    with connected(path) as connection:
        connection.executemany("INSERT INTO notes VALUES (?)", [("x" * 3000,)] * 50)
        connection.execute("DELETE FROM notes")
    content = bytearray(path.read_bytes())
    trunk = int.from_bytes(content[32:36], "big")
    assert trunk
    content[(trunk - 1) * PAGE + 4 : (trunk - 1) * PAGE + 8] = b"\xee" * 4
    path.write_bytes(content)
    with pytest.raises(StorageSetupError, match="is damaged"):
        asyncio.run(SqliteStorageBackend(path).init())


UNUSABLE = {
    "a trigger": OURS + "CREATE TRIGGER g AFTER UPDATE ON mcp_sessions BEGIN SELECT app_ok(new.data); END;",
    "a CHECK": "CREATE TABLE mcp_sessions (sessionId TEXT PRIMARY KEY, identity TEXT CHECK (app_ok(identity)),"
    "data TEXT, expiresAt INTEGER);",
    "an index": OURS + "CREATE INDEX i ON mcp_sessions (identity COLLATE app_fold);",
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_our_table_must_work_without_the_application(path: Path, what: str) -> None:
    by_the_application(path, UNUSABLE[what])
    with pytest.raises(StorageSetupError, match=r"app_(ok|fold).*; drop the constraint, index or trigger"):
        asyncio.run(SqliteStorageBackend(path).init())


def test_a_table_without_rowid_is_as_good(path: Path, session: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "WHOLE_CHECK", 0)
    by_the_application(path, OURS.replace(");", ") WITHOUT ROWID;"))
    asyncio.run(used(path, session))


def test_a_trigger_that_refuses_a_row_is_named(path: Path, session: Build) -> None:
    by_the_application(
        path,
        OURS + "CREATE TRIGGER g BEFORE INSERT ON mcp_sessions BEGIN SELECT RAISE(ABORT, 'not on Sundays'); END;",
    )

    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        with pytest.raises(StorageSetupError, match="not on Sundays; drop the constraint"):
            await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_file_system_without_shared_memory_gets_the_old_journal(
    path: Path, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's dot-file VFS replaces such a file system: it has no shared memory either."""
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def on_that_file_system(url: str, **options: Any) -> sqlite3.Connection:
        return connect(f"{url}&vfs=unix-dotfile", **options)

    monkeypatch.setattr(sqlite_database.sqlite3, "connect", on_that_file_system)

    async def scenario() -> None:
        one, two = SqliteStorageBackend(path), SqliteStorageBackend(path)
        await one.init()
        await two.init()
        calls = ((one, two)[n % 2].create_session(session(f"s{n}")) for n in range(20))
        await asyncio.gather(*calls)
        assert len(await two.get_all_session_ids()) == 20
        assert not path.with_name(f"{path.name}-wal").exists()
        await one.disconnect()
        await two.disconnect()

    asyncio.run(scenario())
