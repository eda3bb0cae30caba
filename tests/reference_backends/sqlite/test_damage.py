"""A file that is not a store, or damaged, is refused and not changed."""

from __future__ import annotations

import asyncio
import os
import stat
import traceback
from pathlib import Path

import pytest

from reference_backends import SqliteStorageBackend, StorageError, StorageSetupError
from reference_backends.sqlite import check as sqlite_check
from tests.reference_backends.sqlite.conftest import SECRET, Build, connected, plan

PAGE = 4096


def store_of(path: Path, session: Build, count: int) -> bytes:
    """Make a closed store. Return its bytes."""

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
    """Return the error of ``init``. Assert that the file, its mode and its side files did not change."""
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
    """Only files up to a size are checked completely. This test sets that size to 0."""
    good = store_of(path, session, 40)
    with connected(path) as connection:
        roots = [page for (page,) in connection.execute("SELECT rootpage FROM sqlite_schema")]
    monkeypatch.setattr(sqlite_check, "WHOLE_CHECK", 0)
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
        looks = sqlite_check._edge_queries(connection)
        assert len(looks) == 8
        assert not [look for look in looks if "TEMP B-TREE" in plan(connection, look)]
        connection.execute("DROP INDEX idx_mcp_sessions_identity")
        assert len(sqlite_check._edge_queries(connection)) == 6


def test_a_schema_that_is_no_text_is_refused(path: Path, session: Build) -> None:
    """SQLite's message repeats the broken schema, and Python can't decode the message."""
    content = store_of(path, session, 1).replace(b"idx_mcp_sessions_identity", b"\xffdx_mcp_sessions_identity")
    path.write_bytes(content.replace(b"CREATE INDEX", b"CREATE XEDNI"))
    assert "is damaged" in refused(path)


def test_an_id_that_is_no_text_is_damage(path: Path) -> None:
    async def scenario() -> None:
        backend = SqliteStorageBackend(path)
        await backend.init()
        with connected(path) as connection:
            connection.execute("INSERT INTO mcp_sessions VALUES (CAST(x'ff' AS TEXT), 'alice', '{}', 4e12)")
        with pytest.raises(StorageSetupError, match="is damaged"):
            await backend.get_all_session_ids()
        await backend.clear_all()
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_database_in_another_encoding_is_refused(path: Path) -> None:
    with connected(path) as connection:
        connection.executescript("PRAGMA encoding = 'UTF-16'; CREATE TABLE theirs (name TEXT)")
    assert "UTF-16" in refused(path)


def test_a_database_with_two_names_is_refused(path: Path, session: Build) -> None:
    store_of(path, session, 1)
    path.with_name("other").hardlink_to(path)
    assert "hard link" in refused(path)


def test_damage_that_the_check_misses_is_found_by_the_call_that_meets_it(
    path: Path, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = store_of(path, session, 60)
    monkeypatch.setattr(sqlite_check, "WHOLE_CHECK", 0)

    async def where_found(backend: SqliteStorageBackend) -> str:
        try:
            await backend.init()
        except StorageSetupError:
            return "open"
        try:
            assert len(await backend.get_identity_sessions_data("alice")) == 60
        except StorageError:  # a setup error for a tree, an error of one session for the overflow pages of its row
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


@pytest.mark.parametrize(
    "data", [f"{{{SECRET}", f'["{SECRET}"]', f"\xff{SECRET}".encode("latin-1"), '{"x": 1e400}', "", 5]
)
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
