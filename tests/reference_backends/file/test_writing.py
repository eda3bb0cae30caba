"""The cost of a write, and what is on the disk after it succeeds or fails."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from reference_backends import FileStorageBackend, StorageError
from reference_backends.embedded import rows
from reference_backends.file import session_file as engine
from tests.reference_backends.file.conftest import SECRET, Build


def test_a_write_encodes_nothing_but_what_changed(path: Path, session: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    decoded: list[bytes] = []

    def counted_text(record: dict[str, Any], **columns: object) -> str:
        encoded.append(record["session_id"])
        return row_text(record, **columns)

    def counted_decoding(text: bytes) -> Any:
        decoded.append(text)
        return decode(text)

    row_text, decode = rows.row_text, rows.decoded

    async def scenario() -> None:
        one, two = FileStorageBackend(path), FileStorageBackend(path)
        await one.init()
        await two.init()
        await asyncio.gather(*(one.create_session(session(f"s{number}")) for number in range(50)))
        assert len(await two.get_all_session_ids()) == 50
        monkeypatch.setattr(engine, "row_text", counted_text)
        monkeypatch.setattr(engine, "decoded", counted_decoding)
        await one.update_session("alice", "s7", {"server_name": "new"})
        assert encoded == ["s7"]
        stored = await two.get_session("alice", "s7")
        assert stored is not None
        assert stored.server_name == "new"
        assert [text.startswith(b'{"sessionId":"s7"') for text in decoded] == [True]
        await one.disconnect()
        await two.disconnect()

    asyncio.run(scenario())


def test_the_leftovers_of_killed_writers_are_removed_and_nothing_else(path: Path) -> None:
    leftover = path.with_name(f".{path.name}.0123456789abcdef.tmp")
    theirs = [
        path.with_name(name)
        for name in (".other.json.0123456789abcdef.tmp", f"{path.name}.tmp", f".{path.name}.old.tmp")
    ]
    for file in (leftover, *theirs):
        file.write_text(SECRET)

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.disconnect()

    asyncio.run(scenario())
    assert not leftover.exists()
    assert all(file.exists() for file in theirs)


def test_a_lock_file_that_was_removed_locks_again(path: Path, session: Build) -> None:
    """Two handles, one with the old lock file and one with the new, must not write at once."""

    async def scenario() -> None:
        one, two = FileStorageBackend(path), FileStorageBackend(path)
        await one.init()
        path.with_name(f"{path.name}.lock").unlink()
        await two.init()
        for round_ in range(10):
            await asyncio.gather(
                *((one, two)[number % 2].create_session(session(f"s{round_}-{number}")) for number in range(4))
            )
        assert len(await one.get_all_session_ids()) == 40
        await one.disconnect()
        await two.disconnect()

    asyncio.run(scenario())


@pytest.mark.parametrize("step", ["fsync", "rename", "write"])
def test_a_write_that_fails_half_way_leaves_the_old_file(
    path: Path, session: Build, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A mock is used, because no real disk fails at a chosen step."""

    def failing(*_: Any) -> Any:
        raise OSError(5, "Input/output error")

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, step, failing)
            with pytest.raises(StorageError, match="Input/output error"):
                await backend.create_session(session("s2"))
        assert path.read_bytes() == before
        assert await backend.get_all_session_ids() == ["s1"]
        await backend.create_session(session("s2"))
        assert sorted(await backend.get_all_session_ids()) == ["s1", "s2"]
        await backend.disconnect()
        assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.lock"]

    asyncio.run(scenario())


def test_each_write_is_on_the_disk_before_its_name_is(
    path: Path, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replacement is durable if the system calls have this order: content, name, folder."""
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(descriptor: int) -> None:
        steps.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def noted_rename(old: Path, new: Path) -> None:
        steps.append("rename")
        rename(old, new)

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(os, "rename", noted_rename)
        await backend.create_session(session())
        assert steps == ["fsync file", "rename", "fsync folder"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_descriptors_are_given_back(path: Path, session: Build) -> None:
    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        before = len(os.listdir("/proc/self/fd"))
        for number in range(20):
            await backend.update_session("alice", "s1", {"server_name": str(number)})
        assert len(os.listdir("/proc/self/fd")) == before
        await backend.disconnect()

    asyncio.run(scenario())


def test_reads_and_refused_writes_leave_the_file_alone(path: Path, session: Build) -> None:
    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        inode = path.stat().st_ino
        await backend.get_session("alice", "s1")
        await backend.remove_session("alice", "none")
        await backend.cleanup_expired_sessions()
        with pytest.raises(StorageError):
            await backend.create_session(session())
        assert path.stat().st_ino == inode
        await backend.disconnect()

    asyncio.run(scenario())


def test_no_clear_text_is_left_when_an_update_seals_it(path: Path, session: Build, key: str) -> None:
    async def scenario() -> None:
        plain = FileStorageBackend(path)
        await plain.init()
        secret = session(tokens={"a": SECRET}, code_verifier=SECRET, client_information={"client_secret": SECRET})
        await plain.create_session(secret)
        keyed = FileStorageBackend(path, encryption_key=key)
        await keyed.init()
        assert await keyed.get_session("alice", "s1") == secret
        await keyed.update_session("alice", "s1", {"server_name": "n"})
        assert all(SECRET.encode() not in file.read_bytes() for file in path.parent.iterdir())
        await plain.disconnect()
        await keyed.disconnect()

    asyncio.run(scenario())


def test_nothing_is_logged_but_the_missing_key(path: Path, session: Build, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.create_session(session(tokens={"a": SECRET}))
        await backend.disconnect()

    asyncio.run(scenario())
    assert SECRET not in caplog.text
    assert [record.levelname for record in caplog.records if record.name == "reference_backends"] == ["WARNING"]
