"""A file that is not an array of sessions is refused and not changed."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import traceback
from pathlib import Path

import pytest

from reference_backends import FileStorageBackend, StorageError, StorageSetupError
from tests.reference_backends.file.conftest import SECRET, UPSTREAM, Build

DAMAGED = {
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
    "a number beyond all doubles": b'[{"sessionId": "s", "identity": "i", "theirs": 1e400}]',
    "a number beyond all doubles, in our layout": b'[\n{"sessionId":"s","identity":"i","theirs":-1e400}\n]\n',
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
            with pytest.raises(StorageSetupError, match="was not changed") as caught:
                await backend.init()
            assert SECRET not in "".join(traceback.format_exception(caught.value))
            assert caught.value.__context__ is None

    asyncio.run(scenario())
    assert path.read_bytes() == DAMAGED[name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'[{"sessionId": "a", "identity": "i"}, 5]', "index 1 (of 2, counted from 0) is not an object"),
        (
            b'[{"sessionId": "a", "identity": "i"}, {"sessionId": "b"}]',
            "index 1 (of 2, counted from 0) has no identity",
        ),
        (b'[{"identity": "i"}]', "index 0 (of 1, counted from 0) has no sessionId"),
        (b'[\n{"sessionId":"a","identity":"i"},\n{}\n]\n', "index 1 (of 2, counted from 0) has no identity"),
        (
            b'[{"sessionId": "a", "identity": "i", "expiresAt": "soon"}]',
            "index 0 (of 1, counted from 0) has an expiresAt",
        ),
    ],
)
def test_the_row_that_is_no_session_is_named(path: Path, content: bytes, what: str) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageSetupError, match="repair or delete that element") as caught:
        asyncio.run(FileStorageBackend(path).init())
    assert what in str(caught.value)


def test_an_empty_file_is_a_new_store(path: Path, session: Build) -> None:
    """``touch`` makes such a file, and SQLite accepts one."""
    path.touch(mode=0o644)

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        assert path.read_bytes() == b"[]\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())


@pytest.mark.parametrize("when", ["closed", "open"])
def test_a_store_that_was_emptied_is_damaged(path: Path, session: Build, when: str) -> None:
    """The lock file shows that the store existed: a disk was full, or a program is writing now."""

    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        await backend.create_session(session())
        if when == "closed":
            await backend.disconnect()
        os.truncate(path, 0)
        with pytest.raises(StorageSetupError, match="empty although it held sessions before"):
            await (backend.init() if when == "closed" else backend.create_session(session("s2")))
        assert path.read_bytes() == b""
        path.unlink()
        await backend.disconnect()
        await backend.init()
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())


GOOD = {
    "pretty": json.dumps(UPSTREAM, indent=2).encode(),
    "compact": json.dumps(UPSTREAM, separators=(",", ":")).encode(),
    "a row with a break": b'[\n{"sessionId":"u1"\n,"identity":"alice"},\n{"sessionId":"u2","identity":"alice"}\n]\n',
    "rows broken like ours": b'[\n{"sessionId":"u1",\n"identity":"alice"},\n{"sessionId":"u2","identity":"alice"}\n]\n',
    "twice the same": json.dumps(UPSTREAM + UPSTREAM[:1]).encode(),
    "an expiry beyond all doubles": json.dumps([{**row, "expiresAt": 10**400} for row in UPSTREAM]).encode(),
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
