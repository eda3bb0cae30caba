"""Once a key is set nothing that lay in clear stays legible in the database or its log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reference_backends import SqliteStorageBackend
from reference_backends.sqlite import table
from tests.reference_backends.sqlite.conftest import SECRET, Build


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
        monkeypatch.setattr(table, "COMPACT_AT_ONCE", 0)
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


def test_a_large_database_is_compacted_by_whoever_cleans_up_next(
    path: Path, session: Build, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handle that sealed may be gone by then, killed even."""
    monkeypatch.setattr(table, "COMPACT_AT_ONCE", 0)

    async def statements_of_a_cleanup() -> list[str]:
        statements: list[str] = []
        handle = SqliteStorageBackend(path)
        await handle.init()
        assert handle._serving is not None
        engine: Any = handle._serving.engine
        await handle._serving.worker.read(lambda: engine._connection.set_trace_callback(statements.append))
        await handle.cleanup_expired_sessions()
        await handle.disconnect()
        return statements

    async def scenario() -> None:
        plain = SqliteStorageBackend(path)
        await plain.init()
        await plain.create_session(session(tokens={"a": SECRET}))
        await plain.disconnect()
        assert "VACUUM" not in await statements_of_a_cleanup()
        keyed = SqliteStorageBackend(path, encryption_key=key)
        await keyed.init()
        monkeypatch.setattr(keyed._serving.engine, "_compact_limit", 0)  # type: ignore[union-attr]
        await keyed.update_session("alice", "s1", {})
        await keyed.disconnect()
        assert "VACUUM" in await statements_of_a_cleanup()
        assert "VACUUM" not in await statements_of_a_cleanup()
        assert clear_text_in(path.parent) == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("ending", ["cleanup", "a create in its place"])
def test_an_expired_session_leaves_no_clear_text(path: Path, session: Build, key: str, ending: str) -> None:
    now = [1_800_000_000.0]

    async def scenario() -> None:
        plain = SqliteStorageBackend(path, clock=lambda: now[0])
        await plain.init()
        await plain.create_session(session(tokens={"a": SECRET}), ttl=10)
        keyed = SqliteStorageBackend(path, encryption_key=key, clock=lambda: now[0])
        await keyed.init()
        await plain.disconnect()
        now[0] += 20
        assert clear_text_in(path.parent)
        if ending == "cleanup":
            await keyed.cleanup_expired_sessions()
        else:
            await keyed.create_session(session(tokens={"a": "new"}))
        assert clear_text_in(path.parent) == 0
        await keyed.disconnect()

    asyncio.run(scenario())
