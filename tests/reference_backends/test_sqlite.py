"""The SQLite table: its layout, what else may lie in the database, and what is no store."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from reference_backends import (
    ConfigurationError,
    SessionData,
    SessionExistsError,
    SqliteStorageBackend,
    StorageError,
    StorageSetupError,
    database,
    session_table,
)

Build = Callable[..., SessionData]

SECRET = "s3cr3t-canary"
NOW = 1_800_000_000.0
PAGE = 4096

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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def write_as_upstream(path: Path) -> None:
    with connected(path) as connection:
        connection.executescript(UPSTREAM_TABLE)
        insert = "INSERT INTO mcp_sessions VALUES (?, ?, ?, ?)"
        connection.execute(insert, ("u1", "alice", json.dumps(UPSTREAM_ROW), None))
        connection.execute(
            insert, ("u2", "alice", json.dumps({**UPSTREAM_ROW, "sessionId": "u2"}), 1_800_000_050_000.5)
        )
    path.chmod(0o644)


def store_of(path: Path, session: Build, count: int) -> bytes:
    """A closed store, and its bytes."""

    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        sizes = (number * 379 % 9000 for number in range(count))
        await asyncio.gather(
            *(backend.create_session(session(f"s{n}", tokens={"a": "x" * size})) for n, size in enumerate(sizes))
        )
        await backend.disconnect()

    asyncio.run(scenario())
    return path.read_bytes()


def refused(path: Path) -> str:
    """The error at open; the file, its mode, and its side files are as they were."""
    before = {file.name: (file.read_bytes(), file.stat().st_mode) for file in path.parent.iterdir()}

    async def scenario() -> str:
        backend = SqliteStorageBackend(path)
        with pytest.raises(StorageSetupError) as caught:
            await backend.init()
        await backend.disconnect()
        return str(caught.value)

    message = asyncio.run(scenario())
    assert {file.name: (file.read_bytes(), file.stat().st_mode) for file in path.parent.iterdir()} == before
    return message


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
    connection = database.open_database(path)
    settings = {
        name: database.execute(connection, f"PRAGMA {name}") for name in ("synchronous", "secure_delete", "temp_store")
    }
    connection.close()
    assert settings == {"synchronous": [(2,)], "secure_delete": [(1,)], "temp_store": [(2,)]}


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


def test_an_update_keeps_what_upstream_put_beside(path: Path) -> None:
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


def test_a_file_of_no_bytes_is_a_new_store(path: Path, session: Build) -> None:
    path.touch(mode=0o644)

    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"hello",
        b"SQLite format 3\0",
        b"not a database " * 1000,
        bytes(1),
        bytes(100),
        bytes(20_000),
        os.urandom(9000),
    ],
    ids=["1 byte", "5 bytes", "the magic alone", "text", "1 zero", "100 zeros", "zeros", "noise"],
)
def test_foreign_content_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o640)
    assert "damaged" in refused(path)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.5, 0.9])
def test_a_truncated_database_is_refused(path: Path, session: Build, part: float) -> None:
    good = store_of(path, session, 40)
    path.write_bytes(good[: int(len(good) * part)])
    assert "damaged" in refused(path)


@pytest.mark.parametrize("missing", [1, 100, PAGE - 1, PAGE, PAGE + 1])
def test_a_database_that_lacks_its_end_is_refused(path: Path, session: Build, missing: int) -> None:
    good = store_of(path, session, 40)
    path.write_bytes(good[:-missing])
    assert "damaged" in refused(path)


def test_an_overwritten_page_header_is_found_on_every_page(path: Path, session: Build) -> None:
    good = store_of(path, session, 40)
    pages = len(good) // PAGE
    assert pages > 20
    for page in range(pages):
        start = page * PAGE + (100 if page == 0 else 0)
        path.write_bytes(good[:start] + b"\xee" * 8 + good[start + 8 :])
        assert "damaged" in refused(path), page


@pytest.mark.parametrize("half", ["first", "second"])
def test_a_zero_filled_half_is_refused(path: Path, session: Build, half: str) -> None:
    good = store_of(path, session, 40)
    middle = len(good) // 2 // PAGE * PAGE
    path.write_bytes(bytes(middle) + good[middle:] if half == "first" else good[:middle] + bytes(len(good) - middle))
    assert "damaged" in refused(path)


def test_of_a_large_database_the_edges_of_its_trees_are_checked(
    path: Path, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole check ends at a size, since its time grows with the file; this test lowers that size to nothing."""
    good = store_of(path, session, 40)
    with connected(path) as connection:
        roots = [page for (page,) in connection.execute("SELECT rootpage FROM sqlite_schema")]
    monkeypatch.setattr(database, "WHOLE_CHECK", 0)
    for page in (*(root - 1 for root in roots), 0):
        start = page * PAGE + (100 if page == 0 else 0)
        path.write_bytes(good[:start] + b"\xee" * 8 + good[start + 8 :])
        assert "damaged" in refused(path), page
    path.write_bytes(good[: PAGE * 3])
    assert "damaged" in refused(path)
    path.write_bytes(good)

    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        assert len(await backend.get_all_session_ids()) == 40
        await backend.disconnect()

    asyncio.run(scenario())


def test_looking_at_the_edges_reads_no_more_than_a_path_through_each_tree(path: Path, session: Build) -> None:
    store_of(path, session, 5)
    with connected(path) as connection:
        looks = database._looks_at_edges(connection)
        assert len(looks) == 8
        assert not [look for look in looks if "TEMP B-TREE" in plan(connection, look)]
        connection.execute("DROP INDEX idx_mcp_sessions_identity")
        assert len(database._looks_at_edges(connection)) == 6


def test_damage_that_the_check_misses_is_found_by_the_call_that_meets_it(
    path: Path, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = store_of(path, session, 60)
    monkeypatch.setattr(database, "WHOLE_CHECK", 0)

    async def where_found(backend: SqliteStorageBackend) -> str:
        try:
            await backend.init()
        except StorageSetupError:
            return "open"
        try:
            assert len(await backend.get_identity_sessions_data("alice")) == 60
        except StorageError:  # of setup for a tree, of one session for the pages that its row runs over into
            return "call"
        finally:
            await backend.disconnect()
        return "not met"

    found = []
    for page in range(1, len(good) // PAGE):
        path.write_bytes(good[: page * PAGE] + b"\xee" * 8 + good[page * PAGE + 8 :])
        found.append(asyncio.run(where_found(SqliteStorageBackend(path))))
    assert found.count("open") > 5
    assert found.count("call") > 5


def test_a_damaged_database_with_a_log_keeps_both(path: Path, session: Build) -> None:
    """Closing a writable connection would move the log into the damaged database."""

    async def scenario() -> dict[str, bytes]:
        backend = SqliteStorageBackend(path)
        await backend.init()
        await asyncio.gather(*(backend.create_session(session(f"s{n}", tokens={"a": "x" * 5000})) for n in range(20)))
        with connected(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        await backend.create_session(session("last"))
        copies = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
        await backend.disconnect()
        return copies

    copies = asyncio.run(scenario())
    assert len(copies) == 2
    folder = path.parent / "crashed"
    folder.mkdir()
    for name, content in copies.items():
        (folder / name).write_bytes(content)
    crashed = folder / path.name
    content = crashed.read_bytes()
    crashed.write_bytes(content[: PAGE * 6] + b"\xee" * PAGE + content[PAGE * 7 :])
    before = crashed.read_bytes(), (folder / f"{path.name}-wal").read_bytes()

    async def opening() -> None:
        with pytest.raises(StorageSetupError, match="damaged"):
            await SqliteStorageBackend(crashed).init()

    asyncio.run(opening())
    assert (crashed.read_bytes(), (folder / f"{path.name}-wal").read_bytes()) == before


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE mcp_sessions (sessionId TEXT PRIMARY KEY, identity TEXT, data TEXT)",
        "CREATE TABLE mcp_sessions (session_id TEXT PRIMARY KEY, identity TEXT, data TEXT, expires_at INTEGER)",
        "CREATE TABLE mcp_sessions (sessionId TEXT, identity TEXT, data TEXT, expiresAt INTEGER)",
        "CREATE TABLE mcp_sessions (sessionId, identity, data, expiresAt INTEGER, PRIMARY KEY (sessionId, identity))",
        "CREATE TABLE mcp_sessions (sessionId TEXT PRIMARY KEY, identity, data, expiresAt INTEGER, tenant NOT NULL)",
        "CREATE VIEW mcp_sessions AS SELECT '1' AS sessionId, '2' AS identity, '{}' AS data, 3 AS expiresAt",
    ],
)
def test_a_table_of_another_version_is_refused(path: Path, schema: str) -> None:
    with connected(path) as connection:
        connection.execute(schema)
    assert "of another version" in refused(path)


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


@pytest.mark.parametrize("data", [f"{{{SECRET}", f'["{SECRET}"]', f"\xff{SECRET}".encode("latin-1"), "", 5])
def test_a_damaged_row_spoils_only_itself_and_is_not_shown(path: Path, session: Build, data: object) -> None:
    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        await backend.create_session(session("good"))
        with connected(path) as connection:
            connection.execute("INSERT INTO mcp_sessions VALUES ('bad', 'alice', CAST(? AS TEXT), 4e12)", (data,))
        for call in (
            lambda: backend.get_session("alice", "bad"),
            lambda: backend.get_identity_sessions_data("alice"),
            lambda: backend.update_session("alice", "bad", {}),
        ):
            with pytest.raises(StorageError, match="'bad' is damaged") as caught:
                await call()
            assert SECRET not in "".join(traceback.format_exception(caught.value))
            assert caught.value.__context__ is None
        assert await backend.get_session("alice", "good") == session("good")
        await backend.remove_session("alice", "bad")
        assert await backend.get_identity_sessions_data("alice") == [session("good")]
        await backend.disconnect()

    asyncio.run(scenario())


def clear_text_in(folder: Path) -> int:
    return sum(file.read_bytes().count(SECRET.encode()) for file in folder.iterdir())


@pytest.mark.parametrize("other_handle", ["open", "closed"])
def test_no_clear_text_is_left_when_updates_and_removals_replace_it(
    path: Path, session: Build, key: str, other_handle: str
) -> None:
    """Rows of many sizes, rewritten, so that they move between pages: their old places must not stay legible."""
    sizes = [1 + number * 37 % 97 for number in range(60)]

    async def scenario() -> None:
        plain = SqliteStorageBackend(path)
        await plain.init()
        for number, size in enumerate(sizes):
            await plain.create_session(session(f"s{number}", tokens={"a": SECRET * size}, headers={"A": SECRET}))
        for number, size in enumerate(sizes):
            await plain.update_session("alice", f"s{number}", {"tokens": {"a": SECRET * (98 - size)}})
        if other_handle == "closed":
            await plain.disconnect()
        keyed = SqliteStorageBackend(path, encryption_key=key)
        await keyed.init()
        assert clear_text_in(path.parent)
        for number in range(0, 60, 2):
            await keyed.update_session("alice", f"s{number}", {"server_name": "n"})
        for number in range(1, 60, 2):
            await keyed.remove_session("alice", f"s{number}")
        assert clear_text_in(path.parent) == 0
        await keyed.disconnect()
        await plain.disconnect()
        assert clear_text_in(path.parent) == 0

    asyncio.run(scenario())


def test_a_large_database_is_compacted_by_the_cleanup(
    path: Path, session: Build, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        plain = SqliteStorageBackend(path)
        await plain.init()
        for number in range(60):
            await plain.create_session(session(f"s{number}", tokens={"a": SECRET * (1 + number % 50)}))
        await plain.disconnect()
        keyed = SqliteStorageBackend(path, encryption_key=key)
        await keyed.init()
        monkeypatch.setattr(session_table, "COMPACT_AT_ONCE", 0)
        statements: list[str] = []
        assert keyed._serving is not None
        engine: Any = keyed._serving.engine
        engine._compact_limit = 0
        await keyed._serving.worker.read(lambda: engine._connection.set_trace_callback(statements.append))
        for number in range(60):
            await keyed.update_session("alice", f"s{number}", {})
        assert "VACUUM" not in statements
        await keyed.cleanup_expired_sessions()
        assert statements.count("VACUUM") == 1
        assert clear_text_in(path.parent) == 0
        await keyed.cleanup_expired_sessions()
        assert statements.count("VACUUM") == 1
        await keyed.disconnect()

    asyncio.run(scenario())


def test_clearing_a_store_with_a_key_leaves_no_clear_text(path: Path, session: Build, key: str) -> None:
    async def scenario() -> None:
        plain, keyed = SqliteStorageBackend(path), SqliteStorageBackend(path, encryption_key=key)
        await plain.init()
        await keyed.init()
        for number in range(20):
            await plain.create_session(session(f"s{number}", tokens={"a": SECRET * 40}))
        await keyed.clear_all()
        assert clear_text_in(path.parent) == 0
        await plain.disconnect()
        await keyed.disconnect()

    asyncio.run(scenario())


def plan(connection: sqlite3.Connection, sql: str) -> str:
    values = (None,) * sql.count("?")
    return " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))


def test_no_call_of_one_identity_looks_at_the_rows_of_others(path: Path) -> None:
    connection = database.open_database(path)
    for sql in (session_table._FIND, session_table._REPLACE, session_table._DELETE):
        assert "USING INDEX sqlite_autoindex_mcp_sessions_1 (sessionId=?)" in plan(connection, sql)
    for sql in (session_table._FIND_ALL, session_table._IDS_OF):
        assert "USING INDEX idx_mcp_sessions_identity (identity=?)" in plan(connection, sql)
    assert plan(connection, session_table._IDS) == "SCAN mcp_sessions"  # not by way of an index, row by row
    for sql in (session_table._DELETE_EXPIRED, session_table._ADOPT):
        assert "idx_mcp_sessions_expires_at (expiresAt" in plan(connection, sql)
    connection.close()


def locks_on(path: Path) -> int:
    inode = f":{path.stat().st_ino} "
    return sum(inode in line and f" {os.getpid()} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_opening_a_second_handle_keeps_the_locks_of_the_first(path: Path) -> None:
    """Closing any descriptor of a file drops all POSIX locks that its process holds on it: SQLite's too."""

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
