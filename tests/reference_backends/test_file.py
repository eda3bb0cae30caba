"""The JSON file: its layout, what else may write to it, and what is no store."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reference_backends import FileStorageBackend, SessionData, StorageError, StorageSetupError, rows
from reference_backends import session_file as engine

Build = Callable[..., SessionData]

SECRET = "s3cr3t-canary"
NOW = 1_800_000_000.0

UPSTREAM = [
    {
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
    },
    {
        "sessionId": "u2",
        "identity": "alice",
        "serverUrl": "é",
        "transportType": "streamable_http",
        "callbackUrl": "",
        "createdAt": 0,
    },
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_bytes())
    return rows


def write_as_upstream(path: Path) -> None:
    path.write_text(json.dumps(UPSTREAM, indent=2))
    path.chmod(0o644)


def test_a_new_store_is_an_empty_array(path: Path) -> None:
    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        assert rows_of(path) == []
        await backend.disconnect()

    asyncio.run(scenario())


def test_the_file_is_an_array_of_camel_case_sessions(path: Path, session: Build, key: str) -> None:
    async def scenario() -> None:
        backend = FileStorageBackend(path, clock=lambda: NOW, encryption_key=key)
        await backend.init()
        await backend.create_session(session("s1", server_name="é\n\u2028", active=False, tokens={"a": 1}), ttl=10.5)
        await backend.create_session(session("s1", "bob"))
        await backend.disconnect()

    asyncio.run(scenario())
    first, second = rows_of(path)
    assert first.pop("tokens").startswith("enc:1:")
    assert first == {
        "sessionId": "s1",
        "identity": "alice",
        "serverUrl": "https://mcp.example",
        "transportType": "sse",
        "callbackUrl": "https://app.example/callback",
        "createdAt": 1_700_000_000_123,
        "serverName": "é\n\u2028",
        "active": False,
        "expiresAt": 1_800_000_010_500,
    }
    assert second["expiresAt"] == 1_800_043_200_000


def test_what_upstream_wrote_opens_and_counts_its_ttl_from_then_on(path: Path) -> None:
    write_as_upstream(path)
    now = NOW

    async def scenario() -> None:
        nonlocal now
        backend = FileStorageBackend(path, clock=lambda: now, default_ttl=100)
        await backend.init()
        assert {row["expiresAt"] for row in rows_of(path)} == {1_800_000_100_000}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        found = await backend.get_session("alice", "u1")
        assert found is not None
        assert found.tokens == {"access_token": "at", "expires_in": 3600}
        await backend.disconnect()
        now += 60
        await backend.init()
        assert await backend.get_session("alice", "u2") is not None
        now += 41
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())


def test_an_update_keeps_what_upstream_put_beside(path: Path) -> None:
    write_as_upstream(path)

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.update_session("alice", "u1", {"server_name": "new", "tokens": None})
        await backend.disconnect()

    asyncio.run(scenario())
    row = rows_of(path)[0]
    assert row.pop("expiresAt") > 0
    assert row == {**{k: v for k, v in UPSTREAM[0].items() if k != "tokens"}, "serverName": "new"}


def test_upstream_writing_into_the_open_file_is_noticed(path: Path) -> None:
    """Upstream truncates the file and writes it anew: the same inode, and rows without an expiry."""

    async def scenario() -> None:
        backend = FileStorageBackend(path, clock=lambda: NOW, default_ttl=100)
        await backend.init()
        write_as_upstream(path)
        assert sorted(await backend.get_all_session_ids()) == ["u1", "u2"]
        assert {row["expiresAt"] for row in rows_of(path)} == {1_800_000_100_000}
        await backend.remove_session("alice", "u1")
        assert [row["sessionId"] for row in rows_of(path)] == ["u2"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(path: Path, session: Build) -> None:
    """The trap: a freed inode is given out again, and two writes fall into one tick of the clock."""

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.create_session(session("s0"))
        for number in range(1, 30):
            old = path.stat()
            content = path.read_bytes().replace(b'"s%d"' % ((number - 1) % 10), b'"s%d"' % (number % 10))
            beside = path.with_name("beside")
            beside.write_bytes(content)
            beside.replace(path)
            os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
            assert await backend.get_all_session_ids() == [f"s{number % 10}"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_the_loaded_files_inode_is_not_given_out_again(path: Path, session: Build) -> None:
    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        loaded = path.stat().st_ino
        inodes = set()
        for number in range(50):
            beside = path.with_name(f"beside{number % 2}")
            beside.write_bytes(path.read_bytes())
            beside.replace(path)
            inodes.add(path.stat().st_ino)
        assert loaded not in inodes
        await backend.disconnect()

    asyncio.run(scenario())


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


DAMAGED = {
    "empty": b"",
    "white space": b" \n",
    "zeros": bytes(300),
    "text": f"hello {SECRET}".encode(),
    "cut": json.dumps([{"sessionId": SECRET, "identity": SECRET}]).encode()[:-5],
    "an object": f'{{"sessionId": "{SECRET}"}}'.encode(),
    "null": b"null",
    "numbers": b"[1, 2]",
    "strangers": b'[{"name": "x"}]',
    "no identity": b'[{"sessionId": "s"}]',
    "an empty id": b'[{"sessionId": "", "identity": "i"}]',
    "an id of another kind": b'[{"sessionId": 5, "identity": "i"}]',
    "an expiry in words": b'[{"sessionId": "s", "identity": "i", "expiresAt": "tomorrow"}]',
    "an expiry that is a truth": b'[{"sessionId": "s", "identity": "i", "expiresAt": true}]',
    "an endless expiry": b'[{"sessionId": "s", "identity": "i", "expiresAt": 1e999}]',
    "NaN": b'[{"sessionId": "s", "identity": "i", "createdAt": NaN}]',
    "not utf-8": b'[{"sessionId": "\xff", "identity": "i"}]',
    "too deep": b"[" * 100_000,
    "two arrays": b"[]\n[]\n",
    "our layout, cut": b'[\n{"sessionId":"a","identity":"i"},\n{"sessionId":"b","identity":"i"\n]\n',
    "our layout, one stranger": b'[\n{"sessionId":"a","identity":"i"},\n{}\n]\n',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_array_of_sessions_is_refused_and_left_as_it_is(path: Path, name: str) -> None:
    path.write_bytes(DAMAGED[name])
    path.chmod(0o640)

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        for _ in range(2):
            with pytest.raises(StorageSetupError, match="left as it is") as caught:
                await backend.init()
            assert SECRET not in "".join(traceback.format_exception(caught.value))
            assert caught.value.__context__ is None

    asyncio.run(scenario())
    assert path.read_bytes() == DAMAGED[name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


GOOD = {
    "pretty": json.dumps(UPSTREAM, indent=2).encode(),
    "compact": json.dumps(UPSTREAM, separators=(",", ":")).encode(),
    "a row with a break": b'[\n{"sessionId":"u1"\n,"identity":"alice"},\n{"sessionId":"u2","identity":"alice"}\n]\n',
    "rows broken like ours": b'[\n{"sessionId":"u1",\n"identity":"alice"},\n{"sessionId":"u2","identity":"alice"}\n]\n',
    "twice the same": json.dumps(UPSTREAM + UPSTREAM[:1]).encode(),
    "an expiry with a fraction": json.dumps([{**row, "expiresAt": 4e12 + 0.5} for row in UPSTREAM]).encode(),
}


@pytest.mark.parametrize("name", GOOD)
def test_any_array_of_sessions_opens(path: Path, name: str) -> None:
    path.write_bytes(GOOD[name])

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        assert sorted(await backend.get_identity_mcp_sessions("alice")) == ["u1", "u2"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_file_damaged_while_it_is_open_is_not_overwritten(path: Path, session: Build) -> None:
    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        good = path.read_bytes()
        path.write_bytes(good[:-20])
        for _ in range(2):
            with pytest.raises(StorageSetupError):
                await backend.get_session("alice", "s1")
            with pytest.raises(StorageSetupError):
                await backend.create_session(session("s2"))
        assert path.read_bytes() == good[:-20]
        path.write_bytes(good)
        assert await backend.get_session("alice", "s1") == session()
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_row_that_is_no_session_spoils_only_itself(path: Path) -> None:
    rows = [*UPSTREAM, {"sessionId": "bad", "identity": "alice", "serverUrl": SECRET}]
    path.write_text(json.dumps(rows))

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        with pytest.raises(StorageError, match="'bad' is damaged") as caught:
            await backend.get_session("alice", "bad")
        assert SECRET not in "".join(traceback.format_exception_only(caught.value))
        assert await backend.get_session("alice", "u1") is not None
        await backend.remove_session("alice", "bad")
        assert len(await backend.get_identity_sessions_data("alice")) == 2
        await backend.disconnect()

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
    """A mock: no real disk fails at a step of our choice."""

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
    """The order of system calls that makes a replacement durable: content, name, folder."""
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
