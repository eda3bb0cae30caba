"""The rows in Redis: when they are removed, how they are sealed, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from reference_backends import (
    DecryptionError,
    RedisStorageBackend,
    StorageError,
)
from reference_backends.redis import scripts
from reference_backends.redis.backend import SLACK_MS
from tests.reference_backends.redis.conftest import Open, session


async def test_the_server_itself_drops_a_session_only_after_the_real_clock_has(
    client: Redis, backend: RedisStorageBackend
) -> None:
    await backend.create_session(session("s1"), ttl=1000)
    await backend.create_session(session("s2"), ttl=10)
    for key, ttl in (("session:s1", 1000), ("session:s2", 10), ("sessions", 1000)):
        left = await client.pttl(f"mcp-storage:{{alice}}:{key}")
        assert abs(ttl * 1000 + SLACK_MS - left) < 60_000
    await backend.update_session("alice", "s2", {}, ttl=5000)
    assert await client.pttl("mcp-storage:{alice}:sessions") > 4_900_000 + SLACK_MS


async def test_with_an_injected_clock_no_native_timer_ends_a_session(client: Redis, opened: Open) -> None:
    real = await opened(client)
    injected = await opened(client, clock=lambda: 1_000_000.0)
    keys = ["mcp-storage:{alice}:session:s1", "mcp-storage:{alice}:sessions"]
    await real.create_session(session(), ttl=3_000_000_000)
    assert all([await client.pttl(key) > 0 for key in keys])
    await injected.update_session("alice", "s1", {})
    assert [await client.pttl(key) for key in keys] == [-1, -1]
    await real.create_session(session("s2"), ttl=10)  # with a session of the injected clock in the index
    assert await client.pttl(keys[1]) == -1
    assert await injected.get_session("alice", "s1") == session()


async def test_a_new_session_sweeps_out_index_entries_that_long_expired(
    client: Redis, backend: RedisStorageBackend
) -> None:
    await backend.create_session(session("s1"))
    await client.zadd("mcp-storage:{alice}:sessions", {"old": 1000})
    await backend.create_session(session("s2"))
    assert await client.zrange("mcp-storage:{alice}:sessions", 0, -1) == [b"s1", b"s2"]


async def test_an_update_seals_what_was_written_without_a_key(
    client: Redis, backend: RedisStorageBackend, opened: Open
) -> None:
    plain = await opened(client)
    secrets: dict[str, Any] = {
        "tokens": {"a": "t-secret"},
        "headers": {"h": "h-secret"},
        "code_verifier": "v-secret",
        "client_information": {"client_secret": "c-secret", "id": 1},
    }
    await plain.create_session(session(**secrets))
    await backend.update_session("alice", "s1", {"server_name": "n"})
    held = await client.hgetall("mcp-storage:{alice}:session:s1")
    assert "secret" not in str(held).replace("client_secret", "")
    assert await backend.get_session("alice", "s1") == session(server_name="n", **secrets)
    await plain.update_session("alice", "s1", {"code_verifier": "w-secret"})
    await backend.update_session("alice", "s1", {})
    assert b"w-secret" not in (await client.hgetall("mcp-storage:{alice}:session:s1")).values()


async def test_sealing_gives_way_to_a_write_that_came_first(client: Redis) -> None:
    key = "mcp-storage:{alice}:session:s1"
    await client.hset(key, "tokens", '{"a":"new"}')
    swaps = ["tokens", '={"a":"old"}', "enc:1:…", "headers", "", ""]
    assert await client.eval(scripts.SEAL.source.decode(), 1, key, *swaps) == 0
    assert await client.hgetall(key) == {b"tokens": b'{"a":"new"}'}


@pytest.mark.parametrize("planted", [b"a\0b", b'"{}"', b"\xff", b"{", b'{"a":', b"null", b"[]"])
async def test_planted_secrets_are_undecipherable(client: Redis, backend: RedisStorageBackend, planted: bytes) -> None:
    await backend.create_session(session("s1", tokens={"a": "b"}))
    await backend.create_session(session("s2", tokens={"a": "b"}))
    await client.hset("mcp-storage:{alice}:session:s1", "tokens", planted)
    with pytest.raises(DecryptionError) as raised:
        await backend.get_session("alice", "s1")
    assert raised.value.session_id == "s1"
    with pytest.raises(DecryptionError):
        await backend.get_identity_sessions_data("alice")
    assert await backend.get_session("alice", "s2") == session("s2", tokens={"a": "b"})


async def test_a_nul_smuggles_no_field_in(client: Redis, backend: RedisStorageBackend) -> None:
    await backend.create_session(session(tokens={"a": "b"}))
    key = "mcp-storage:{alice}:session:s1"
    envelope = (await client.hgetall(key))[b"tokens"]
    assert isinstance(envelope, bytes)
    await client.hset(key, "tokens", envelope + b"\0server_url\0evil")
    with pytest.raises(DecryptionError):
        await backend.get_session("alice", "s1")


@pytest.mark.parametrize(("field", "planted"), [("created_at", b"x"), ("active", b"{"), ("server_url", b"\xff")])
async def test_a_damaged_hash_is_a_storage_error(
    client: Redis, backend: RedisStorageBackend, field: str, planted: bytes
) -> None:
    await backend.create_session(session())
    await client.hset("mcp-storage:{alice}:session:s1", field, planted)
    with pytest.raises(StorageError, match="damaged"):
        await backend.get_session("alice", "s1")
