"""The Redis harness starts a server that is as durable as the clauses need."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from pytest_mcp_storage.harnesses.redis import RedisHarness


@pytest.mark.parametrize(("will_be_killed", "appendfsync"), [(True, "always"), (False, "everysec")])
async def test_a_store_whose_processes_will_be_killed_syncs_each_write(
    monkeypatch: pytest.MonkeyPatch, will_be_killed: bool, appendfsync: str
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    harness = RedisHarness()
    harness.will_be_killed = will_be_killed
    async with harness, Redis.from_url(harness.url) as client:
        assert await client.config_get("appendfsync") == {"appendfsync": appendfsync}
