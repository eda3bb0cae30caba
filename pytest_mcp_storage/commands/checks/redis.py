"""A Redis or Valkey server: eviction, persistence, access, rows. Only reading commands are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pytest_mcp_storage.commands.checks import rows
from pytest_mcp_storage.commands.checks.finding import Finding, Level
from reference_backends.core.errors import StorageError
from reference_backends.core.record import SECRETS
from reference_backends.redis import layout
from reference_backends.redis.backend import RedisStorageBackend
from reference_backends.redis.url import redis_client

PREFIX = "mcp-storage"
MOST_ROWS = 10_000
"""Sessions that are read at most."""


async def check(url: str, sealed: bool, clock: Callable[[], float]) -> AsyncIterator[Finding]:
    """Check the server at a URL. The store's ``init`` checks cluster, replica and the user's rights."""
    try:
        client = redis_client(url)
        store = RedisStorageBackend(client, prefix=PREFIX)
    except StorageError as error:
        yield Finding("redis.url", "error", str(error))
        return
    try:
        try:
            await store.init()
        except StorageError as error:
            yield Finding("redis.use", "error", str(error))
        else:
            yield Finding("redis.use", "ok", "the server answers, and permits every command of the store")
        try:
            async for finding in _server(client, url):
                yield finding
            clear, overdue = await _rows(client, clock())
        except (RedisError, OSError) as error:
            message = f"some checks were not possible ({type(error).__name__})"
            yield Finding("redis.checks", "note", message, "let this user call INFO, CONFIG GET, ACL WHOAMI and SCAN")
            return
        for finding in rows.counted("redis", clear if sealed else 0, overdue):
            yield finding
    finally:
        await store.disconnect()
        await client.aclose()


async def _server(client: Redis, url: str) -> AsyncIterator[Finding]:
    facts: dict[str, Any] = await client.info("everything")
    limit, policy = facts.get("maxmemory", 0), facts.get("maxmemory_policy", "noeviction")
    if limit and policy != "noeviction":
        message = f"the server may evict sessions: maxmemory-policy is {policy}"
        yield Finding("redis.eviction", "error", message, "CONFIG SET maxmemory-policy noeviction")
    if limit and facts.get("used_memory", 0) > 0.9 * limit:
        message = f"{facts['used_memory'] / limit:.0%} of the server's memory limit is used; at 100 % writes fail"
        yield Finding("redis.memory", "warning", message, "raise maxmemory, or remove data")
    async for finding in _persistence(client, facts):
        yield finding
    host = urlsplit(url).hostname
    local = host in (None, "127.0.0.1", "::1", "localhost")
    if await client.acl_whoami() in (b"default", "default") and not urlsplit(url).password:
        level: Level = "warning" if local else "error"
        message = "the server asks for no password: every program that reaches it can read all sessions"
        yield Finding("redis.access", level, message, "set requirepass, or make an ACL user for the store")
    if not local and urlsplit(url).scheme in ("redis", "valkey", ""):
        message = "the connection is not encrypted, and the server is on another machine"
        yield Finding("redis.tls", "warning", message, "use a rediss:// URL")


async def _persistence(client: Redis, facts: dict[str, Any]) -> AsyncIterator[Finding]:
    log = bool(facts.get("aof_enabled"))
    remedy = "CONFIG SET appendonly yes, and set it in the configuration file too"
    if not log and not (await client.config_get("save")).get("save"):
        yield Finding("redis.persistence", "warning", "the server saves nothing: a restart loses all sessions", remedy)
    elif not log:
        message = "the server saves snapshots only: a crash loses the sessions since the last one"
        yield Finding("redis.persistence", "note", message, remedy)
    for fact, what in (("aof_last_write_status", "append-only log"), ("rdb_last_bgsave_status", "snapshot")):
        if facts.get(fact, "ok") != "ok":
            message = f"the last write of the {what} failed"
            yield Finding("redis.persistence", "error", message, "check the server's disk and log")


async def _rows(client: Redis, now: float) -> tuple[int, int]:
    """Return how many sessions have secrets that are not marked as sealed, and how many expired long ago."""
    clear = overdue = seen = 0
    async for key in client.scan_iter(match=layout.Keys(PREFIX).everything, count=1000):
        name = key if isinstance(key, bytes) else key.encode()
        if not name.partition(b"}:")[2].startswith(b"session:"):
            continue
        wanted = [layout.SEALED, layout.EXPIRES_AT, *(secret.encode() for secret in SECRETS)]
        mark, expires_at, *secrets = await client.hmget(name, wanted)
        clear += mark is None and any(secret is not None for secret in islice(secrets, 2))
        overdue += expires_at is not None and float(expires_at) / 1000 < now - rows.OVERDUE
        seen += 1
        if seen == MOST_ROWS:
            break
    return clear, overdue
