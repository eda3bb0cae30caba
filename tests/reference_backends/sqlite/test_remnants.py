"""What stays readable in the database and its log: nothing that was sealed, and no clear text after a reseal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reference_backends import SqliteStorageBackend
from reference_backends.maintenance.resealing import reseal
from tests.reference_backends.sqlite.conftest import SECRET, Build, connected
from tests.reference_backends.sqlite.test_shared_databases import by_the_application


def clear_text_in(folder: Path) -> int:
    return sum(file.read_bytes().count(SECRET.encode()) for file in folder.iterdir())


async def plain_sessions(path: Path, session: Build, count: int = 60) -> SqliteStorageBackend:
    """Rewrite rows of many sizes, so that they move between pages and leave copies there."""
    sizes = [1 + number * 37 % 97 for number in range(count)]
    plain = SqliteStorageBackend(path)
    await plain.init()
    for number, size in enumerate(sizes):
        await plain.create_session(session(f"s{number}", tokens={"a": SECRET * size}, headers={"A": SECRET}))
    for number, size in enumerate(sizes):
        await plain.update_session("alice", f"s{number}", {"tokens": {"a": SECRET * (98 - size)}})
    return plain


@pytest.mark.parametrize("other_handle", ["open", "closed"])
@pytest.mark.parametrize("before", ["nothing", "updates and removals"])
def test_a_reseal_leaves_no_clear_text(path: Path, session: Build, key: str, other_handle: str, before: str) -> None:
    async def scenario() -> None:
        plain = await plain_sessions(path, session)
        if other_handle == "closed":
            await plain.disconnect()
        keyed = SqliteStorageBackend(path, encryption_key=key)
        await keyed.init()
        if before == "updates and removals":
            for number in range(0, 60, 2):
                await keyed.update_session("alice", f"s{number}", {"server_name": "n"})
            for number in range(1, 60, 2):
                await keyed.remove_session("alice", f"s{number}")
        assert clear_text_in(path.parent)
        result = await reseal(keyed)
        assert (result.sealed, result.current) == ((60, 0) if before == "nothing" else (0, 30))
        assert result.complete
        assert clear_text_in(path.parent) == 0
        await keyed.disconnect()
        await plain.disconnect()
        assert clear_text_in(path.parent) == 0

    asyncio.run(scenario())


def test_a_database_that_an_older_release_marked_opens_and_loses_the_mark(path: Path, session: Build, key: str) -> None:
    by_the_application(path, "CREATE TABLE mcp_sessions_remnants (legible TEXT)")

    async def scenario() -> None:
        keyed = SqliteStorageBackend(path, encryption_key=key)
        await keyed.init()
        await keyed.create_session(session())
        await keyed.update_session("alice", "s1", {"server_name": "n"})
        await keyed.cleanup_expired_sessions()
        await reseal(keyed)
        assert await keyed.get_all_session_ids() == ["s1"]
        await keyed.disconnect()

    asyncio.run(scenario())
    with connected(path) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name LIKE '%remnants'").fetchall() == []


def test_no_write_compacts_the_database(path: Path, session: Build, key: str) -> None:
    async def scenario() -> None:
        plain = await plain_sessions(path, session, 5)
        await plain.disconnect()
        keyed = SqliteStorageBackend(path, encryption_key=key)
        await keyed.init()
        statements: list[str] = []
        assert keyed._serving is not None
        engine = keyed._serving.engine
        await keyed._serving.worker.read(
            lambda: engine._connection.set_trace_callback(statements.append)  # type: ignore[attr-defined]
        )
        await keyed.update_session("alice", "s1", {"server_name": "n"})
        await keyed.remove_session("alice", "s2")
        await keyed.cleanup_expired_sessions()
        await keyed.clear_all()
        assert not [each for each in statements if "VACUUM" in each or "checkpoint" in each]
        await keyed.disconnect()

    asyncio.run(scenario())


def test_what_cannot_be_compacted_is_reported_and_the_sessions_are_sealed(path: Path, session: Build, key: str) -> None:
    """VACUUM makes every index again, also one of an application whose collation is missing."""
    by_the_application(path, "CREATE TABLE notes (t TEXT COLLATE app_fold); CREATE INDEX i ON notes (t);")

    async def scenario() -> None:
        plain = await plain_sessions(path, session, 3)
        await plain.disconnect()
        keyed = SqliteStorageBackend(path, encryption_key=key)
        await keyed.init()
        result = await reseal(keyed)
        assert (result.sealed, result.complete) == (3, False)
        assert "app_fold" in result.not_compacted
        await keyed.disconnect()

    asyncio.run(scenario())


def test_a_log_that_another_process_reads_is_reported(
    path: Path, session: Build, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference_backends.sqlite.table.LOCK_TIMEOUT", 0.05)

    async def scenario() -> None:
        plain = await plain_sessions(path, session, 3)
        await plain.disconnect()
        keyed = SqliteStorageBackend(path, encryption_key=key)
        await keyed.init()
        with connected(path) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM mcp_sessions").fetchone()
            result = await reseal(keyed)
        assert (result.sealed, "another process reads its log" in result.not_compacted) == (3, True)
        assert (await reseal(keyed)).complete
        assert clear_text_in(path.parent) == 0
        await keyed.disconnect()

    asyncio.run(scenario())
