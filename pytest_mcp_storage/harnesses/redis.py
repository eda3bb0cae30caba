"""Redis and Valkey: a server of the run, or a separate key prefix on the server of ``REDIS_URL``."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import quote

from pytest_mcp_storage.faults.proxy import OF_ONE_REQUEST, Fault, FaultProxy
from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness, NotMeasurable

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from pytest_mcp_storage.stacks.redis.server import Fsync
    from reference_backends import Clock, RedisStorageBackend

JSON_FIELDS = ("tokens", "headers", "client_information")
THROUGH_A_PROXY = frozenset({Capability.OUTAGE, Capability.LOST_ANSWER, Capability.FAIL_STEP})


class RedisHarness(BackendHarness):
    """Drives :class:`reference_backends.RedisStorageBackend`, through a proxy that can cut it off.

    Each harness has its own key prefix and deletes those keys at its end. So its store is separate on a shared server
    too. A plain client reads what is stored.
    """

    name: ClassVar[str] = "redis"
    appendfsync: ClassVar[Fsync] = "everysec"
    """``appendfsync`` of a server that this harness starts; ``always`` if processes will be killed."""
    proxied: ClassVar[bool] = True
    """Whether handles go through the proxy; a benchmark goes past it, and has neither OUTAGE nor LOST_ANSWER."""
    capabilities = frozenset(
        {
            Capability.KEY,
            Capability.DURABLE,
            Capability.SHARED,
            Capability.CLOCK,
            Capability.DEFAULT_TTL,
            Capability.AT_REST,
            Capability.OUTAGE,
            Capability.LOST_ANSWER,
            Capability.FAIL_STEP,
            Capability.CRASH,
        }
    )

    def __init__(self) -> None:
        self.url = ""
        self.prefix = f"mcp-storage-test-{secrets.token_hex(8)}"
        self.folder: Path | None = None
        """The folder of the server's log if this run started the server."""
        self._proxy: FaultProxy | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        from pytest_mcp_storage.stacks.redis.server import redis_server

        if self.url:
            return self  # attached to a store that another harness has provisioned
        async with AsyncExitStack() as stack:
            appendfsync: Fsync = "always" if self.will_be_killed else self.appendfsync
            server = await stack.enter_async_context(redis_server(appendfsync=appendfsync))
            self.url, self.folder = server.url, server.folder
            if not server.owned:
                stack.push_async_callback(self._delete_all)
            if self.proxied and (target := _plain_address(self._client())) is not None:
                self._proxy = await stack.enter_async_context(FaultProxy(target, exempt=_signs_in))
            else:  # not wanted, or the proxy can't be used with TLS or a Unix socket
                self.capabilities -= THROUGH_A_PROXY
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> RedisStorageBackend:
        from reference_backends import RedisStorageBackend

        client = self._client(through_proxy=True)
        backend = RedisStorageBackend(client, prefix=self.prefix, **backend_options(encryption_key, clock, default_ttl))
        await backend.init()
        return backend

    async def stored_bytes(self) -> bytes:
        pieces: list[bytes] = []
        async with self._client() as client:
            async for key in client.scan_iter(match=f"{self.prefix}:*", count=1000):
                pieces += (key, await client.dump(key) or b"")
                if await client.type(key) == b"hash":
                    pieces += await self._hash(client, key)
        if self.folder is not None:
            pieces += await asyncio.to_thread(_contents, self.folder)
        return b"\n".join(pieces)

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        async with self._client() as client:
            parts = await self._hash(client, self._key(identity, session_id))
        if not parts:
            raise LookupError(f"no hash of session {session_id!r}")
        stored = dict(zip(map(bytes.decode, parts[::2]), parts[1::2], strict=True))
        shown = {name: json.loads(stored[name]) for name in JSON_FIELDS if name in stored}
        verifier = stored.get("code_verifier")
        return dict.fromkeys(JSON_FIELDS) | shown | {"code_verifier": None if verifier is None else verifier.decode()}

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        key = self._key(identity, session_id)
        async with self._client() as client:
            if not await client.exists(key):
                raise LookupError(f"no hash of session {session_id!r}")
            await client.hset(key, field, json.dumps(value))
            await client.hdel(key, "sealed")

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with self._between().fault(Fault.REFUSE):
            yield

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        async with self._between().fault(Fault.DROP_ANSWER):
            yield

    @asynccontextmanager
    async def fail_request(self, k: int, how: str) -> AsyncIterator[None]:
        if how not in OF_ONE_REQUEST:
            raise NotMeasurable("a proxy knows no protocol, so it can't answer with a conflict")
        async with self._between().fault(OF_ONE_REQUEST[how], after=k - 1, once=True):
            yield

    def locator(self) -> Mapping[str, Any]:
        return {"url": self.url, "prefix": self.prefix}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        harness = cls()
        harness.url, harness.prefix = locator["url"], locator["prefix"]
        return harness

    def _client(self, *, through_proxy: bool = False) -> Redis:
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        from reference_backends.redis.url import redis_client

        client = redis_client(self.url, retry=Retry(NoBackoff(), 0))
        if through_proxy and self._proxy is not None:
            client.connection_pool.connection_kwargs |= {"host": self._proxy.host, "port": self._proxy.port}
        return client

    def _key(self, identity: str, session_id: str) -> str:
        return f"{self.prefix}:{{{quote(identity, safe='')}}}:session:{quote(session_id, safe='')}"

    def _between(self) -> FaultProxy:
        if self._proxy is None:
            raise NotMeasurable("there is no proxy: the harness is attached, or the server uses TLS or a Unix socket")
        return self._proxy

    @staticmethod
    async def _hash(client: Redis, key: str | bytes) -> list[bytes]:
        """Yield names and values of a hash's fields, alternately."""
        fields = await client.hgetall(key)
        return [part for pair in fields.items() for part in pair if isinstance(part, bytes)]

    async def _delete_all(self) -> None:
        async with self._client() as client:
            keys = [key async for key in client.scan_iter(match=f"{self.prefix}:*", count=1000)]
            for start in range(0, len(keys), 1000):
                await client.unlink(*keys[start : start + 1000])


def _plain_address(client: Redis) -> tuple[str, int] | None:
    """Return host and port of a connection by TCP without TLS; ``None`` for another kind of connection."""
    from redis.asyncio import Connection

    pool = client.connection_pool
    if pool.connection_class is not Connection:
        return None
    return pool.connection_kwargs.get("host", "localhost"), pool.connection_kwargs.get("port", 6379)


def _signs_in(request: bytes) -> bool:
    """Return whether this is a command that redis-py sends when it connects, not a call of the store."""
    return re.match(rb"\*\d+\r\n\$\d+\r\n(HELLO|AUTH|CLIENT|SELECT)\r", request) is not None


def _contents(folder: Path) -> list[bytes]:
    """Yield the content of every file in the folder. The server rewrites its log, so a file may have vanished."""
    contents = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                contents.append(path.read_bytes())
            except FileNotFoundError:
                continue
    return contents
