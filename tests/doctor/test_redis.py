"""The doctor on Redis: each planted fault is named, a sound server has none."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import RedisStorageBackend
from tests.doctor.sessions import KEY, SESSION, problems


def environment(url: str) -> dict[str, str]:
    return {"REDIS_URL": url, "STORAGE_ENCRYPTION_KEY": KEY}


async def test_a_sound_server_has_no_problem() -> None:
    async with redis_server() as server, Redis.from_url(server.url) as client:
        store = RedisStorageBackend(client, encryption_key=KEY)
        await store.init()
        await store.create_session(SESSION, ttl=60)
        assert await problems(environment(server.url)) == {}
        await store.disconnect()


@pytest.mark.parametrize(
    ("settings", "check", "level"),
    [
        ({"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}, "redis.eviction", "error"),
        ({"appendonly": "no"}, "redis.persistence", "warning"),
        ({"cluster-enabled": "yes"}, "redis.use", "error"),
    ],
)
async def test_a_fault_of_the_server_is_named(settings: dict[str, str], check: str, level: str) -> None:
    async with redis_server(settings=settings) as server:
        found = await problems(environment(server.url))
        assert (list(found), found[check].level) == ([check], level)


async def test_faults_of_access_are_named() -> None:
    async with redis_server() as server, Redis.from_url(server.url) as client:
        address = urlsplit(server.url)
        await client.acl_setuser(
            "limited", enabled=True, passwords=["+the-password"], keys=["*"], commands=["+@all", "-hset"]
        )
        found = await problems(environment(f"redis://limited:the-password@{address.hostname}:{address.port}"))
        assert list(found) == ["redis.use"]
        assert "hset" in found["redis.use"].message.lower()
        await client.config_set("requirepass", "")
        found = await problems(environment(f"redis://{address.hostname}:{address.port}"))
        assert list(found) == ["redis.access"]


async def test_rows_in_clear_and_rows_that_expired_long_ago_are_counted() -> None:
    async with redis_server() as server, Redis.from_url(server.url) as client:
        store = RedisStorageBackend(client)
        await store.init()
        await store.create_session(SESSION, ttl=60)
        await store.disconnect()
        found = await problems(environment(server.url))
        assert list(found) == ["redis.clear"]
        found = await problems(environment(server.url), lambda: time.time() + 86400)
        assert list(found) == ["redis.clear", "redis.expired"]
