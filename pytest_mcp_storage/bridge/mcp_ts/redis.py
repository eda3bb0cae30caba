"""Upstream's sessions in Redis."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pytest_mcp_storage.bridge.mcp_ts.harness import McpTsHarness
from pytest_mcp_storage.faults import Fault, FaultProxy
from pytest_mcp_storage.harnesses.folder import SECRETS
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.stacks.redis.server import redis_server

if TYPE_CHECKING:
    from redis.asyncio import Redis


class UpstreamRedis(BackendHarness):
    """A server of this run, in upstream's layout. Upstream's keys have a fixed prefix, so a server can't be shared."""

    def __init__(self) -> None:
        self.url = ""
        """Return the URL for upstream: that of the proxy that makes faults, except for an attached harness."""
        self._direct = ""
        self._client: Redis
        self._proxy: FaultProxy
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        from redis.asyncio import Redis

        if not self._direct:
            server = await self._exits.enter_async_context(redis_server(environ={}))
            address = urlsplit(server.url)
            assert address.hostname is not None
            assert address.port is not None
            self._proxy = await self._exits.enter_async_context(FaultProxy((address.hostname, address.port)))
            self._direct = server.url
            self.url = server.url.replace(f":{address.port}/", f":{self._proxy.port}/")
        self._client = await self._exits.enter_async_context(Redis.from_url(self._direct, decode_responses=True))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._exits.aclose()

    async def stored_bytes(self) -> bytes:
        return "\n".join([text async for text in self._everything()]).encode()

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        row = await self._row(identity, session_id)
        return {field: row.get(name) for field, name in SECRETS.items()}

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        row = await self._row(identity, session_id)
        row[SECRETS[field]] = value
        await self._client.set(_key(identity, session_id), json.dumps(row), keepttl=True)

    def outage(self) -> AbstractAsyncContextManager[None]:
        return self._proxy.fault(Fault.REFUSE)

    def lost_answer(self) -> AbstractAsyncContextManager[None]:
        return self._proxy.fault(Fault.DROP_ANSWER)

    def locator(self) -> Mapping[str, Any]:
        return {"url": self._direct}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        harness = cls()
        harness.url = harness._direct = locator["url"]
        return harness

    async def _row(self, identity: str, session_id: str) -> dict[str, Any]:
        text = await self._client.get(_key(identity, session_id))
        if text is None:
            raise LookupError("the server has no such session")
        row: dict[str, Any] = json.loads(text)
        return row

    async def _everything(self) -> AsyncIterator[str]:
        async for key in self._client.scan_iter(count=1000):
            yield str(key)
            if await self._client.type(key) == "string":
                yield str(await self._client.get(key))
            else:
                for member in await self._client.smembers(key):
                    yield str(member)


class McpTsRedis(McpTsHarness):
    """``RedisStorageBackend`` of ``@mcp-ts/sdk``. Sessions expire by the server's clock."""

    name: ClassVar[str] = "mcp-ts:redis"
    store: ClassVar[str] = "redis"
    packages: ClassVar[Sequence[str]] = ("ioredis",)
    checks_each_open: ClassVar[bool] = True
    capabilities = frozenset(
        {
            Capability.DURABLE,
            Capability.SHARED,
            Capability.AT_REST,
            Capability.OUTAGE,
            Capability.LOST_ANSWER,
            Capability.CRASH,
        }
    )
    underlying: UpstreamRedis

    def provisioned(self) -> UpstreamRedis:
        return UpstreamRedis()

    def settings(self) -> Mapping[str, str]:
        return {"REDIS_URL": self.underlying.url}


def _key(identity: str, session_id: str) -> str:
    return f"mcp:session:{identity}:{session_id}"
