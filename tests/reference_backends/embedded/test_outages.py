"""A store that is locked, missing, replaced, full or read-only."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reference_backends import StorageUnavailableError
from reference_backends.file import session_file
from reference_backends.sqlite import execute
from reference_backends.sqlite.table import SessionTable
from tests.reference_backends.embedded.conftest import Build, Open, every_call, run_worker


@contextmanager
def locked(kind: str, path: Path) -> Iterator[None]:
    """Hold the write lock of another writer inside the context."""
    if kind == "file":
        with open(f"{path}.lock", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    else:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.close()


def test_a_lock_that_stays_is_reported_and_its_end_noticed(
    kind: str, path: Path, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_file, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(execute.execute, "__kwdefaults__", {"timeout": 0.2})
    monkeypatch.setattr(SessionTable._execute, "__kwdefaults__", {"timeout": 0.2})

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        with locked(kind, path):
            for call in (
                backend.create_session(session("s2")),
                backend.update_session("alice", "s1", {"server_name": "n"}),
                backend.remove_session("alice", "s1"),
                backend.clear_all(),
                backend.cleanup_expired_sessions(),
            ):
                with pytest.raises(StorageUnavailableError, match="locked by another process"):
                    await call
            assert await backend.get_session("alice", "s1") == session()
        await backend.create_session(session("s2"))
        assert sorted(await backend.get_all_session_ids()) == ["s1", "s2"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_short_lock_is_waited_for(kind: str, path: Path, build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        with locked(kind, path):
            creating = asyncio.ensure_future(backend.create_session(session()))
            await asyncio.sleep(0.05)
            assert not creating.done()
        await creating
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_store_that_went_away_is_an_outage_and_comes_back(build: Open, path: Path, session: Build) -> None:
    """As if a volume was unmounted: the folder is moved away while the handle is open."""

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        away = path.parent.with_name("away")
        path.parent.rename(away)
        for call in every_call(backend, session):
            with pytest.raises(StorageUnavailableError):
                await call()
        assert not path.parent.exists()
        away.rename(path.parent)
        assert await backend.get_all_session_ids() == ["s1"]
        await backend.create_session(session("s2"))
        path.parent.rename(away)
        await backend.disconnect()
        away.rename(path.parent)
        await backend.init()
        assert sorted(await backend.get_all_session_ids()) == ["s1", "s2"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_store_that_was_replaced_is_not_written_to_in_vain(
    kind: str, build: Open, path: Path, session: Build
) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        copy = path.with_name("copy")
        shutil.copy(path, copy)
        copy.replace(path)
        if kind == "file":  # the file is read by its path each time, so the copy is the store now
            await backend.create_session(session("s2"))
        else:
            for call in every_call(backend, session):
                with pytest.raises(StorageUnavailableError, match="moved or replaced"):
                    await call()
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_full_disk_is_reported_and_leaves_the_old_data(kind: str, path: Path, build: Open) -> None:
    """A limit on the size of files replaces the full disk: the kernel refuses the write in the same way."""
    output = run_worker(kind, path, "fill").communicate()[0].splitlines()
    attempts = output[0].split()[1:]
    kept = {name for name in attempts if not name.startswith("-")}
    assert 3 < len(kept) < len(attempts)
    assert output[1] == "room after"

    async def check() -> None:
        backend = build()
        await backend.init()
        stored = await backend.get_identity_sessions_data("alice")
        assert {each.session_id for each in stored} == kept | {"after"}
        assert all(each.tokens == {"a": "x" * 20_000} for each in stored)
        await backend.disconnect()

    asyncio.run(check())
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".tmp")]
