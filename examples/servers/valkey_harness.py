"""Drives the store over Valkey: its own server (from a wheel), and a proxy in front of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

from valkey.asyncio import Valkey
from valkey_store import ValkeyBackend

from pytest_mcp_storage import BackendHarness, Capability
from pytest_mcp_storage.faults import Fault, FaultProxy
from pytest_mcp_storage.stacks.redis.server import redis_server


def signs_in(request: bytes) -> bool:
    """Return whether the request is one that opens a connection: the faults are for the calls."""
    return re.match(rb"\*\d+\r\n\$\d+\r\n(HELLO|AUTH|CLIENT|SELECT)\r", request) is not None


class ValkeyHarness(BackendHarness):
    """The store connects through the proxy; the harness reads and writes past the store with its own client."""

    name = "valkey"
    capabilities = frozenset(Capability) - {
        Capability.SETUP,
        Capability.FILES,
        Capability.FAIL_STEP,
        Capability.ROW_SECURITY,
    }

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.attached = bool(url)
        self.proxy: Any = None  # an attached harness has none
        self.opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self.attached:
            return self
        async with AsyncExitStack() as opening:
            # A server whose callers are killed must sync each write.
            appendfsync = "always" if self.will_be_killed else "everysec"
            server = await opening.enter_async_context(redis_server(appendfsync=appendfsync, environ={}))
            self.url = server.url
            parts = urlsplit(self.url)
            target = parts.hostname or "", parts.port or 6379
            self.proxy = await opening.enter_async_context(FaultProxy(target, exempt=signs_in))
            self.opened = opening.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.opened.aclose()

    async def open(self, **options: Any) -> ValkeyBackend:
        given = {name: value for name, value in options.items() if value is not None}
        port = self.proxy.port if self.proxy else urlsplit(self.url).port
        backend = ValkeyBackend(re.sub(r":\d+(?=/|$)", f":{port}", self.url), **given)
        await backend.init()
        return backend

    async def stored_bytes(self) -> bytes:
        async with self._client() as client:
            rows = [(key, await client.hgetall(key)) async for key in client.scan_iter(match="mcp:*")]
        return str(rows).encode()

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        fields: dict[str, Any] = (await self._row(identity, session_id))["record"]
        return fields

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        row = await self._row(identity, session_id)
        row["record"][field] = value
        async with self._client() as client:
            await client.hset(f"mcp:{identity}", session_id, json.dumps(row))

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with self.proxy.fault(Fault.REFUSE):
            yield

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        async with self.proxy.fault(Fault.DROP_ANSWER):
            yield

    def locator(self) -> Mapping[str, Any]:
        return {"url": self.url}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        return cls(locator["url"])

    async def _row(self, identity: str, session_id: str) -> dict[str, Any]:
        async with self._client() as client:
            text = await client.hget(f"mcp:{identity}", session_id)
        if text is None:
            raise LookupError(session_id)
        row: dict[str, Any] = json.loads(text)
        return row

    def _client(self) -> Any:
        return Valkey.from_url(self.url, decode_responses=True)
