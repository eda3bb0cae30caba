"""The JSON file: upstream's layout, upstream's rows, and what else may write to it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from reference_backends import FileStorageBackend
from tests.reference_backends.file.conftest import UPSTREAM, Build

NOW = 1_800_000_000.0


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


@pytest.mark.parametrize(
    ("ours", "theirs"), [(b"}\n]\n", b"}\n]"), (b"}\n]\n", b"}]\n"), (b"[\n{", b"[{"), (b"[\n{", b"\n[\n{")]
)
def test_a_file_laid_out_almost_as_ours_opens_whole(path: Path, session: Build, ours: bytes, theirs: bytes) -> None:
    async def scenario() -> None:
        backend = FileStorageBackend(path)
        await backend.init()
        kept = [session("s1"), session("s2", "bob")]
        for each in kept:
            await backend.create_session(each)
        await backend.disconnect()
        assert ours in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(ours, theirs, 1))
        await backend.init()
        assert [await backend.get_session(each.identity, each.session_id) for each in kept] == kept
        await backend.disconnect()

    asyncio.run(scenario())


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


def test_an_update_keeps_other_fields_of_upstream(path: Path) -> None:
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
    """Upstream truncates the file and writes it again: the same inode, and rows without an expiry."""

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
    """A freed inode is used again, and two writes happen within one tick of the clock."""

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
