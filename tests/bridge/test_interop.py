"""The library reads what upstream writes, and upstream reads what the library writes, in the same store.

Upstream is its published package, behind the bridge. It encrypts only in Supabase, so a key is tested there.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from supabase import AsyncClientOptions, acreate_client

from pytest_mcp_storage.bridge.backend import BridgeBackend, from_foreign
from pytest_mcp_storage.bridge.mcp_ts.file import McpTsFile
from pytest_mcp_storage.bridge.mcp_ts.harness import McpTsHarness
from pytest_mcp_storage.bridge.mcp_ts.redis import McpTsRedis
from pytest_mcp_storage.bridge.mcp_ts.sqlite import McpTsSqlite
from pytest_mcp_storage.bridge.mcp_ts.supabase import McpTsSupabase
from reference_backends import (
    DecryptionError,
    FileStorageBackend,
    MemoryStorageBackend,
    SessionData,
    SqliteStorageBackend,
    StorageBackend,
    SupabaseStorageBackend,
)
from reference_backends.maintenance.migration import migrate

Make = Callable[..., SessionData]

KEY = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture
def rich(session: Make) -> list[SessionData]:
    """Sessions with everything that both sides keep."""
    return [
        session(
            session_id="full",
            server_id="id",
            server_name="Name with \U0001f600, é, e\u0301 and \u2028",
            headers={"Authorization": "Bearer hunter2", "__proto__": "x", "": ""},
            active=True,
            client_information={"client_id": "c", "redirect_uris": [], "nested": {"a": [1, 2.5, None, {}]}},
            tokens={"access_token": "at-1", "expires_in": 3600, "scope": "a b", "enc:1:": "enc:1:not one"},
            code_verifier="verifier",
            client_id="client",
        ),
        session(session_id="idle", active=False, headers={}, tokens={}),
        session(session_id="other", identity="another", active=True, created_at=1),
        session(
            session_id="odd * ? [a] % _ ' \" \\ / \u212a \U0001f468\u200d\U0001f469",
            server_name="\u0001\x7f\u2029\ufeff\uffff",
            headers={"X-Empty": "", "constructor": "\t", "\u00e9": "1", "e\u0301": "2"},
            active=False,
            client_information={"__proto__": {"toString": []}, "$": "undefined", "1": {}, "": [[], [{}]]},
            tokens={
                "largest": 2**53 - 1,
                "least": 1 - 2**53,
                "tiny": 5e-324,
                "third": 1 / 3,
                "whole": 1.0,
                "deep": json.loads('{"a":' * 30 + "[]" + "}" * 30),
                "long": "\U0001f600é" * 10_000,
            },
            created_at=253_402_300_799_999,
        ),
    ]


async def shown(harness: McpTsHarness, backend: BridgeBackend, identity: str, session_id: str) -> Mapping[str, Any]:
    """Return a session as upstream returns it, with the other columns of its row."""
    answer = await harness.wire.call("getSession", handle=backend.handle, identity=identity, sessionId=session_id)
    assert isinstance(answer, dict)
    return answer


async def ours_reads(ours: StorageBackend, sessions: list[SessionData]) -> None:
    for session in sessions:
        assert await ours.get_session(session.identity, session.session_id) == session
    listed = await ours.get_identity_sessions_data("u1")
    assert sorted(listed, key=lambda one: one.session_id) == [one for one in sessions if one.identity == "u1"]
    assert sorted(await ours.get_all_session_ids()) == sorted(one.session_id for one in sessions)


async def theirs_reads(harness: McpTsHarness, theirs: BridgeBackend, sessions: list[SessionData]) -> None:
    for session in sessions:
        answer = dict(await shown(harness, theirs, session.identity, session.session_id))
        answer.pop("expiresAt", None)  # the library writes it into a file; upstream keeps no expiry there
        assert from_foreign(answer, "getSession") == session
    assert sorted(await theirs.get_all_session_ids()) == sorted(one.session_id for one in sessions)


@asynccontextmanager
async def in_a_file(path: Path) -> AsyncIterator[StorageBackend]:
    async with opened(FileStorageBackend(path)) as backend:
        yield backend


@asynccontextmanager
async def in_sqlite(path: Path) -> AsyncIterator[StorageBackend]:
    async with opened(SqliteStorageBackend(path)) as backend:
        yield backend


@asynccontextmanager
async def opened(backend: StorageBackend) -> AsyncIterator[StorageBackend]:
    await backend.init()
    try:
        yield backend
    finally:
        await backend.disconnect()


embedded = pytest.mark.parametrize(
    ("made", "ours_at"), [(McpTsFile, in_a_file), (McpTsSqlite, in_sqlite)], ids=["file", "sqlite"]
)


@embedded
async def test_what_upstream_writes_is_read_here(made: Any, ours_at: Any, rich: list[SessionData]) -> None:
    async with made() as harness:
        theirs = await harness.open()
        for session in rich:
            await theirs.create_session(session, 3600)
        await theirs.update_session("u1", "idle", {"tokens": {"access_token": "new"}, "code_verifier": "v"}, 3600)
        await theirs.update_session("u1", "idle", {"code_verifier": None}, 3600)
        rich[1] = rich[1].model_copy(update={"tokens": {"access_token": "new"}})
        await theirs.disconnect()
        async with ours_at(harness.underlying.path) as ours:
            await ours_reads(ours, rich)
            await ours.update_session("u1", "full", {"tokens": None})
            await ours.remove_session("another", "other")
        again = await harness.open()
        revoked = rich[0].model_copy(update={"tokens": None})
        await theirs_reads(harness, again, [revoked, rich[1], rich[3]])


@embedded
async def test_what_is_written_here_is_read_by_upstream(made: Any, ours_at: Any, rich: list[SessionData]) -> None:
    async with made() as harness:
        async with ours_at(harness.underlying.path) as ours:
            for session in rich:
                await ours.create_session(session, 3600)
        theirs = await harness.open()
        await theirs_reads(harness, theirs, rich)
        await theirs.update_session("u1", "full", {"tokens": None, "server_name": "theirs"}, 3600)
        await theirs.remove_session("another", "other")
        await theirs.disconnect()
        changed = rich[0].model_copy(update={"tokens": None, "server_name": "theirs"})
        async with ours_at(harness.underlying.path) as ours:
            await ours_reads(ours, [changed, rich[1], rich[3]])


@asynccontextmanager
async def in_supabase(harness: McpTsSupabase, key: str | None) -> AsyncIterator[StorageBackend]:
    stack = harness.underlying.variables
    client = await acreate_client(
        stack["SUPABASE_URL"], stack["SUPABASE_SERVICE_ROLE_KEY"], AsyncClientOptions(auto_refresh_token=False)
    )
    async with opened(SupabaseStorageBackend(client, encryption_key=key)) as backend:
        yield backend
    await client.postgrest.aclose()


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
async def test_one_table_serves_both(key: str | None, rich: list[SessionData]) -> None:
    """On upstream's table each creates, updates what the other created, and reads everything."""
    async with McpTsSupabase() as harness, in_supabase(harness, key) as ours:
        theirs = await harness.open(encryption_key=key)
        await theirs.create_session(rich[0], 3600)
        await ours.create_session(rich[1], 3600)
        await theirs.create_session(rich[2], 3600)
        await (ours if key is None else theirs).create_session(rich[3], 3600)
        await ours_reads(ours, rich)
        await theirs_reads(harness, theirs, rich)
        for session_id in ("full", "idle"):
            stored = await harness.stored_fields("u1", session_id)
            assert all(isinstance(stored[field], dict if key is None else str) for field in ("tokens", "headers"))
        await theirs.update_session("u1", "idle", {"tokens": {"access_token": "theirs"}})
        await ours.update_session("u1", "full", {"tokens": {"access_token": "ours"}, "code_verifier": None})
        rich[1] = rich[1].model_copy(update={"tokens": {"access_token": "theirs"}})
        rich[0] = rich[0].model_copy(update={"tokens": {"access_token": "ours"}, "code_verifier": None})
        await ours_reads(ours, rich)
        await theirs_reads(harness, theirs, rich)


async def test_without_the_key_ours_refuses_what_upstream_encrypted(rich: list[SessionData]) -> None:
    async with McpTsSupabase() as harness, in_supabase(harness, None) as ours:
        theirs = await harness.open(encryption_key=KEY)
        await theirs.create_session(rich[0])
        with pytest.raises(DecryptionError):
            await ours.get_session("u1", "full")


async def test_redis_is_migrated(rich: list[SessionData]) -> None:
    """The contract forbids upstream's layout in Redis: the data is migrated completely."""
    from redis.asyncio import Redis

    async with McpTsRedis() as harness:
        theirs = await harness.open()
        for session in rich:
            await theirs.create_session(session)
        await theirs.update_session("u1", "idle", {"server_name": "since"})
        expected = [rich[0], rich[1].model_copy(update={"server_name": "since"}), *rich[2:]]
        target = MemoryStorageBackend()
        await target.init()
        async with Redis.from_url(harness.underlying.locator()["url"]) as source:
            result = await migrate(source, target, move=True)
            assert (result.created, result.removed, result.complete) == (4, 4, True)
            assert await source.dbsize() == 0
        await ours_reads(target, expected)
        assert await theirs.get_all_session_ids() == []
