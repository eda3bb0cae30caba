"""The keys that the Redis store uses. It changes no other keys."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from reference_backends import (
    ConfigurationError,
    RedisStorageBackend,
)
from reference_backends.redis import layout
from tests.reference_backends.redis.conftest import Open, session

NASTY = ["a", "a:b", "{a}", "}", "*", "a%3Ab", "\\", "é", "e\u0301", "\U0001f600", " ", "a" * 255]


def test_no_two_sessions_share_a_key() -> None:
    keys = layout.Keys("p")
    pairs = [(identity, name) for identity in NASTY for name in NASTY]
    hashes = {keys.session(identity, layout.member(name)) for identity, name in pairs}
    assert len(hashes | {keys.index(identity) for identity in NASTY}) == len(pairs) + len(NASTY)
    for identity, name in pairs:
        assert layout.session_id(layout.member(name)) == name
        assert layout.index_of_key(keys.session(identity, layout.member(name))) == keys.index(identity)


@pytest.mark.parametrize("prefix", ["", "a b", "{a", "a}"])
def test_a_prefix_that_breaks_the_hash_tag_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisStorageBackend(Redis(), prefix=prefix)


async def test_stores_of_other_prefixes_and_other_data_are_left_alone(client: Redis, opened: Open) -> None:
    await client.set("mcp-storage", "redis_exceptions")
    await client.set("mcp-storageX:{alice}:sessions", "redis_exceptions")
    handles = [await opened(client, prefix=prefix) for prefix in ("a*", "ab", "a[b]")]
    for handle in handles:
        await handle.create_session(session())
    await handles[0].clear_all()
    assert [await handle.get_all_session_ids() for handle in handles] == [[], ["s1"], ["s1"]]
    for handle in handles:
        await handle.clear_all()
    assert sorted(await client.keys()) == [b"mcp-storage", b"mcp-storageX:{alice}:sessions"]


async def test_clear_all_and_cleanup_work_on_two_hundred_thousand_sessions(
    client: Redis, backend: RedisStorageBackend
) -> None:
    """Half of them of one identity, and one in a hundred expired."""
    plant = """
        for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
          local ends = i % 100 == 0 and 1000 or 9999999999999
          for _, session in ipairs({{'many', i}, {i, 's'}}) do
            redis.call('HSET', 'mcp-storage:{' .. session[1] .. '}:session:' .. session[2], 'expires_at', ends)
            redis.call('ZADD', 'mcp-storage:{' .. session[1] .. '}:sessions', ends, session[2])
          end
        end
    """
    for start in range(0, 100_000, 10_000):
        await client.eval(plant, 0, str(start + 1), str(start + 10_000))
    await client.hset("mcp-storage:{lost}:session:of-no-index", "expires_at", "9999999999999")
    await backend.cleanup_expired_sessions()
    assert await client.dbsize() == 99_000 + 1 + 2 * 99_000 + 1
    assert len(await backend.get_all_session_ids()) == 198_000
    await backend.clear_all()
    assert await client.dbsize() == 0
