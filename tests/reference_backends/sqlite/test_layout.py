"""The SQLite table: upstream's layout, upstream's rows, and other content of the database."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from reference_backends import ConfigurationError, SessionExistsError, SqliteStorageBackend
from reference_backends.sqlite import database as sqlite_database
from reference_backends.sqlite import execute
from reference_backends.sqlite import table as sqlite_table
from tests.reference_backends.sqlite.conftest import Build, connected, plan

NOW = 1_800_000_000.0

UPSTREAM_TABLE = """
    CREATE TABLE mcp_sessions (
        sessionId TEXT PRIMARY KEY, identity TEXT NOT NULL, data TEXT NOT NULL, expiresAt INTEGER
    );
    CREATE INDEX idx_mcp_sessions_identity ON mcp_sessions(identity);
"""

UPSTREAM_ROW = {
    "sessionId": "u1",
    "identity": "alice",
    "serverUrl": "https://mcp.example",
    "transportType": "sse",
    "callbackUrl": "https://app.example/callback",
    "createdAt": 1_700_000_000_123,
    "tokens": {"access_token": "at", "expires_in": 3600},
    "active": True,
    "theirs": {"kept": [None, "\ud800"]},
    "nothing": None,
}


def write_as_upstream(path: Path) -> None:
    with connected(path) as connection:
        connection.executescript(UPSTREAM_TABLE)
        insert = "INSERT INTO mcp_sessions VALUES (?, ?, ?, ?)"
        connection.execute(insert, ("u1", "alice", json.dumps(UPSTREAM_ROW), None))
        connection.execute(
            insert, ("u2", "alice", json.dumps({**UPSTREAM_ROW, "sessionId": "u2"}), 1_800_000_050_000.5)
        )
    path.chmod(0o644)


def test_the_table_is_laid_out_as_upstreams(path: Path, session: Build, key: str) -> None:
    async def scenario() -> None:
        backend = SqliteStorageBackend(path, clock=lambda: NOW, encryption_key=key)
        await backend.init()
        await backend.create_session(session(server_name="é\n\u2028", active=False, tokens={"a": 1}), ttl=10.5)
        await backend.disconnect()

    asyncio.run(scenario())
    with connected(path) as connection:
        [(session_id, identity, data, expires_at)] = connection.execute("SELECT * FROM mcp_sessions")
        columns = connection.execute("SELECT name, type, pk FROM pragma_table_info('mcp_sessions')").fetchall()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert columns == [
        ("sessionId", "TEXT", 1),
        ("identity", "TEXT", 0),
        ("data", "TEXT", 0),
        ("expiresAt", "INTEGER", 0),
    ]
    assert (session_id, identity, expires_at) == ("s1", "alice", 1_800_000_010_500)
    row = json.loads(data)
    assert row.pop("tokens").startswith("enc:1:")
    assert row == {
        "sessionId": "s1",
        "identity": "alice",
        "serverUrl": "https://mcp.example",
        "transportType": "sse",
        "callbackUrl": "https://app.example/callback",
        "createdAt": 1_700_000_000_123,
        "serverName": "é\n\u2028",
        "active": False,
    }


def test_a_commit_is_on_the_disk_and_leaves_no_remnants(path: Path) -> None:
    connection = sqlite_database.open_database(path)
    asked = ("synchronous", "secure_delete", "temp_store")
    settings = {name: execute.execute(connection, f"PRAGMA {name}") for name in asked}
    connection.close()
    assert settings == {"synchronous": [(3,)], "secure_delete": [(1,)], "temp_store": [(2,)]}


def test_what_upstream_wrote_opens_and_counts_its_ttl_from_then_on(path: Path) -> None:
    write_as_upstream(path)
    now = NOW

    async def scenario() -> None:
        nonlocal now
        backend = SqliteStorageBackend(path, clock=lambda: now, default_ttl=100)
        await backend.init()
        with connected(path) as connection:
            expiries = connection.execute("SELECT expiresAt FROM mcp_sessions ORDER BY sessionId").fetchall()
        assert expiries == [(1_800_000_100_000,), (1_800_000_050_000.5,)]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        found = await backend.get_session("alice", "u1")
        assert found is not None
        assert found.tokens == {"access_token": "at", "expires_in": 3600}
        await backend.disconnect()
        now += 60
        await backend.init()
        assert await backend.get_identity_mcp_sessions("alice") == ["u1"]
        now += 41
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())


def test_rows_that_upstream_adds_while_the_store_is_open_are_adopted_by_the_cleanup(path: Path) -> None:
    now = NOW

    async def scenario() -> None:
        nonlocal now
        backend = SqliteStorageBackend(path, clock=lambda: now, default_ttl=100)
        await backend.init()
        with connected(path) as connection:
            connection.execute(
                "INSERT INTO mcp_sessions VALUES (?, ?, ?, ?)", ("u1", "alice", json.dumps(UPSTREAM_ROW), None)
            )
        assert await backend.get_session("alice", "u1") is not None
        assert await backend.get_identity_mcp_sessions("alice") == await backend.get_all_session_ids() == ["u1"]
        await backend.cleanup_expired_sessions()
        now += 99
        assert await backend.get_session("alice", "u1") is not None
        now += 2
        assert await backend.get_session("alice", "u1") is None
        await backend.disconnect()

    asyncio.run(scenario())


def test_an_update_keeps_other_fields_of_upstream(path: Path) -> None:
    write_as_upstream(path)

    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        await backend.update_session("alice", "u1", {"server_name": "new", "tokens": None})
        await backend.disconnect()

    asyncio.run(scenario())
    with connected(path) as connection:
        [(data,)] = connection.execute("SELECT data FROM mcp_sessions WHERE sessionId = 'u1'")
    assert json.loads(data) == {**{k: v for k, v in UPSTREAM_ROW.items() if k != "tokens"}, "serverName": "new"}


def test_the_columns_say_whose_session_it_is(path: Path) -> None:
    """Upstream lets an update change identity and id in the JSON alone."""
    write_as_upstream(path)
    with connected(path) as connection:
        connection.execute(
            "UPDATE mcp_sessions SET data = ? WHERE sessionId = 'u1'",
            (json.dumps({**UPSTREAM_ROW, "identity": "mallory", "sessionId": "other"}),),
        )

    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        found = await backend.get_session("alice", "u1")
        assert found is not None
        assert (found.identity, found.session_id) == ("alice", "u1")
        assert await backend.get_session("mallory", "other") is None
        await backend.disconnect()

    asyncio.run(scenario())


def test_an_id_is_one_identitys_until_it_expires(path: Path, session: Build) -> None:
    now = NOW

    async def scenario() -> None:
        nonlocal now
        backend = SqliteStorageBackend(path, clock=lambda: now)
        await backend.init()
        await backend.create_session(session("s1", server_name="first"), ttl=10)
        with pytest.raises(SessionExistsError):
            await backend.create_session(session("s1", "bob"))
        assert await backend.get_session("alice", "s1") == session("s1", server_name="first")
        now += 10
        await backend.create_session(session("s1", "bob"))
        assert await backend.get_session("alice", "s1") is None
        assert await backend.get_all_session_ids() == ["s1"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_database_of_another_application_is_shared(path: Path, session: Build) -> None:
    with connected(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
        connection.execute("INSERT INTO theirs VALUES (1)")
        connection.execute("PRAGMA user_version = 7")

    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        await backend.clear_all()
        await backend.disconnect()

    asyncio.run(scenario())
    with connected(path) as connection:
        assert connection.execute("SELECT a FROM theirs").fetchall() == [(1,)]
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="MemoryStorageBackend"):
        SqliteStorageBackend(":memory:")


def test_no_call_of_one_identity_looks_at_the_rows_of_others(path: Path) -> None:
    connection = sqlite_database.open_database(path)
    for sql in (sqlite_table._FIND, sqlite_table._REPLACE, sqlite_table._REWRITE, sqlite_table._DELETE):
        assert "USING INDEX sqlite_autoindex_mcp_sessions_1 (sessionId=?)" in plan(connection, sql)
    for sql in (sqlite_table._FIND_ALL, sqlite_table._IDS_OF):
        assert "USING INDEX idx_mcp_sessions_identity (identity=?)" in plan(connection, sql)
    assert plan(connection, sqlite_table._NAMES) == "SCAN mcp_sessions"  # not through an index, row by row
    for sql in (sqlite_table._DELETE_EXPIRED, sqlite_table._SET_MISSING_EXPIRIES):
        assert "idx_mcp_sessions_expires_at (expiresAt" in plan(connection, sql)
    connection.close()


def locks_on(path: Path) -> int:
    inode = f":{path.stat().st_ino} "
    return sum(inode in line and f" {os.getpid()} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_opening_a_second_handle_keeps_the_locks_of_the_first(path: Path) -> None:
    """Closing any descriptor of a file releases all POSIX locks of the process on it, SQLite's too."""

    async def scenario() -> None:
        one, two = SqliteStorageBackend(path), SqliteStorageBackend(path)
        await one.init()
        await one.get_all_session_ids()
        held = locks_on(path)
        assert held > 0
        await two.init()
        assert locks_on(path) >= held
        await two.disconnect()
        assert locks_on(path) >= held
        await one.disconnect()

    asyncio.run(scenario())


@pytest.mark.parametrize("column", ["tenant", "tenant TEXT DEFAULT 'none'", "tenant TEXT NOT NULL DEFAULT 'none'"])
def test_a_column_of_somebody_else_that_need_not_be_filled_is_no_hindrance(
    path: Path, session: Build, column: str
) -> None:
    with connected(path) as connection:
        connection.execute(
            "CREATE TABLE mcp_sessions (sessionId TEXT PRIMARY KEY, identity TEXT NOT NULL, data TEXT NOT NULL, "
            f"expiresAt INTEGER, {column})"
        )

    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        assert await backend.get_all_session_ids() == ["s1"]
        await backend.disconnect()

    asyncio.run(scenario())
