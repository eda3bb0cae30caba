"""The harnesses of the file and the SQLite store: what they read from the files, and what they do not touch."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.harnesses.file import FileHarness
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from reference_backends import DecryptionError, SessionData

Harness = FileHarness | SqliteHarness

KEY = "00112233445566778899aabbccddeeff" * 2
SECRET = "s3cr3t-canary"


def session(session_id: str = "s1", identity: str = "alice", **fields: Any) -> SessionData:
    return SessionData(
        session_id=session_id,
        identity=identity,
        server_url="https://mcp.example",
        transport_type="sse",
        callback_url="https://app.example/callback",
        created_at=0,
        **fields,
    )


FULL: dict[str, Any] = {
    "tokens": {"a": SECRET},
    "headers": {"A": SECRET},
    "code_verifier": SECRET,
    "client_information": {"client_secret": SECRET},
}


@pytest.fixture(params=[FileHarness, SqliteHarness])
def build(request: pytest.FixtureRequest) -> Callable[[], Harness]:
    made: Callable[[], Harness] = request.param
    return made


def test_it_shows_what_is_stored_in_clear_and_sealed(build: Callable[[], Harness]) -> None:
    async def scenario() -> None:
        async with build() as harness:
            plain, keyed = await harness.open(), await harness.open(encryption_key=KEY)
            await plain.create_session(session("plain", **FULL))
            await keyed.create_session(session("sealed", **FULL))
            await plain.create_session(session("bare"))
            assert await harness.stored_fields("alice", "plain") == FULL
            sealed = await harness.stored_fields("alice", "sealed")
            assert SECRET not in json.dumps(dict(sealed))
            assert all(sealed[field].startswith("enc:1:") for field in ("tokens", "headers", "code_verifier"))
            assert (await harness.stored_fields("alice", "bare"))["tokens"] is None
            for identity, session_id in (("alice", "none"), ("bob", "plain")):
                with pytest.raises(LookupError):
                    await harness.stored_fields(identity, session_id)
            assert (await harness.stored_bytes()).count(SECRET.encode()) >= 4
            await plain.disconnect()
            await keyed.disconnect()

    asyncio.run(scenario())


def test_an_expired_row_counts_until_it_is_cleaned_up(build: Callable[[], Harness]) -> None:
    now = 1_800_000_000.0

    async def scenario() -> None:
        nonlocal now
        async with build() as harness:
            backend = await harness.open(clock=lambda: now, default_ttl=10)
            await backend.create_session(session(**FULL))
            now += 11
            assert await backend.get_session("alice", "s1") is None
            assert (await harness.stored_fields("alice", "s1"))["tokens"] == FULL["tokens"]
            await backend.cleanup_expired_sessions()
            with pytest.raises(LookupError):
                await harness.stored_fields("alice", "s1")
            await backend.disconnect()

    asyncio.run(scenario())


def test_what_it_plants_is_what_the_backend_reads(build: Callable[[], Harness]) -> None:
    async def scenario() -> None:
        async with build() as harness:
            backend = await harness.open(encryption_key=KEY)
            await backend.create_session(session(**FULL))
            await harness.replace_stored_field("alice", "s1", "tokens", {"a": "planted"})
            found = await backend.get_session("alice", "s1")
            assert found is not None
            assert found.tokens == {"a": "planted"}
            await harness.replace_stored_field("alice", "s1", "headers", "enc:1:altered")
            with pytest.raises(DecryptionError):
                await backend.get_session("alice", "s1")
            with pytest.raises(LookupError):
                await harness.replace_stored_field("alice", "none", "tokens", {})
            await backend.disconnect()

    asyncio.run(scenario())


def test_it_shows_a_secret_that_is_only_in_the_log() -> None:
    async def scenario() -> None:
        async with SqliteHarness() as harness:
            backend = await harness.open()
            await backend.create_session(session(**FULL))
            assert SECRET.encode() not in harness.path.read_bytes()
            assert SECRET.encode() in await harness.stored_bytes()
            await backend.disconnect()

    asyncio.run(scenario())


def test_looking_keeps_the_locks_of_open_handles() -> None:
    """Closing any descriptor of a file releases all POSIX locks of the process on it, also SQLite's."""

    def locks(path: Path) -> int:
        inode = f":{path.stat().st_ino} "
        lines = Path("/proc/locks").read_text().splitlines()
        return sum(inode in line and f" {os.getpid()} " in line for line in lines)

    async def scenario() -> None:
        async with SqliteHarness() as harness:
            backend = await harness.open()
            await backend.create_session(session(**FULL))
            held = locks(harness.path)
            assert held > 0
            await harness.stored_bytes()
            await harness.stored_fields("alice", "s1")
            assert locks(harness.path) == held
            await backend.disconnect()

    asyncio.run(scenario())


def test_it_destroys_its_own_store_and_not_one_that_it_was_attached_to(build: Callable[[], Harness]) -> None:
    async def scenario() -> None:
        async with build() as harness:
            backend = await harness.open()
            await backend.create_session(session(**FULL))
            locator = json.loads(json.dumps(harness.locator()))
            async with type(harness).attach(locator) as attached:
                other = await attached.open()
                assert await other.get_session("alice", "s1") == session(**FULL)
                await other.create_session(session("s2"))
                assert await attached.stored_fields("alice", "s1") == FULL
                await other.disconnect()
            assert sorted(await backend.get_all_session_ids()) == ["s1", "s2"]
            await backend.disconnect()
            assert harness.files()[0] == harness.path
            folder = harness.path.parent
            assert {file.parent for file in harness.files()} == {folder}
            async with build() as neighbour:
                assert neighbour.path != harness.path
        assert not folder.exists()

    asyncio.run(scenario())


def test_one_that_was_not_entered_has_no_store(build: Callable[[], Harness]) -> None:
    with pytest.raises(RuntimeError, match="no store yet"):
        build().locator()
