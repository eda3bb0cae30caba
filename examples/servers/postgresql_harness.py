"""Drives the stores over PostgreSQL: a server for the run, a database for each harness, a proxy between them."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import psycopg
from asyncpg_store import AsyncpgBackend
from sqlalchemy_store import SqlAlchemyBackend

from pytest_mcp_storage import BackendHarness, Capability
from pytest_mcp_storage.faults import Fault, FaultProxy
from pytest_mcp_storage.stacks.supabase.providers import start_stack
from pytest_mcp_storage.stacks.supabase.stack import StackServer
from reference_backends import StorageBackend

READ = "select record from mcp_records where identity = %s and session_id = %s"
PLANT = "update mcp_records set record = %s where identity = %s and session_id = %s returning 1"


@functools.cache
def server() -> StackServer:
    """Start PostgreSQL, once a process. It needs no Docker; ``pip install 'pytest-mcp-storage[servers]'`` brings it."""
    started = start_stack("native")
    atexit.register(started.close)
    return started


def signs_in(request: bytes) -> bool:
    """Return whether the request is the start or the password of a connection: the faults are for the calls."""
    return request[4:8] == b"\x00\x03\x00\x00" or request[:1] == b"p"


class PostgresqlHarness(BackendHarness):
    """Base. The store connects through the proxy; the harness looks at the rows with psycopg, past the store."""

    capabilities = frozenset(Capability) - {
        Capability.SETUP,
        Capability.FILES,
        Capability.FAIL_STEP,
        Capability.ROW_SECURITY,
    }
    url_format: ClassVar[str]
    store: ClassVar[Any]

    def __init__(self, database: str = "") -> None:
        self.database = database
        self.attached = bool(database)
        self.proxy: Any = None  # an attached harness has none

    async def __aenter__(self) -> Self:
        if not self.attached:
            self.stack = await asyncio.to_thread(server().store, migrated=False)
            self.database = self.stack.database_url or ""
            parts = urlsplit(self.database)
            self.proxy = await FaultProxy((parts.hostname or "", parts.port or 5432), exempt=signs_in).__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self.proxy is not None:
            await self.proxy.__aexit__(*exc)
            await asyncio.to_thread(server().drop, self.stack)

    async def open(self, **options: Any) -> StorageBackend:
        given = {name: value for name, value in options.items() if value is not None}
        parts = urlsplit(self.database)
        port = self.proxy.port if self.proxy else parts.port
        user = f"{parts.username}:{parts.password}"
        backend: StorageBackend = self.store(self.url_format.format(user=user, port=port, path=parts.path), **given)
        await backend.init()
        return backend

    async def stored_bytes(self) -> bytes:
        return "\n".join(map(str, await self._query("select * from mcp_records"))).encode()

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        for (record,) in await self._query(READ, identity, session_id):
            return dict(json.loads(record))
        raise LookupError(session_id)

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        record = {**await self.stored_fields(identity, session_id), field: value}
        await self._query(PLANT, json.dumps(record), identity, session_id)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with self.proxy.fault(Fault.REFUSE):
            yield

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        async with self.proxy.fault(Fault.DROP_ANSWER):
            yield

    def locator(self) -> Mapping[str, Any]:
        return {"database": self.database}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        return cls(locator["database"])

    async def _query(self, query: str, *arguments: Any) -> list[Any]:
        async with await psycopg.AsyncConnection.connect(self.database, autocommit=True) as connection:
            return await (await connection.execute(query, arguments or None)).fetchall()


class AsyncpgHarness(PostgresqlHarness):
    """The store over asyncpg."""

    name = "asyncpg"
    store = AsyncpgBackend
    url_format = "postgresql://{user}@127.0.0.1:{port}{path}?sslmode=disable"


class SqlAlchemyHarness(PostgresqlHarness):
    """The store over SQLAlchemy."""

    name = "SQLAlchemy on PostgreSQL"
    store = SqlAlchemyBackend
    url_format = "postgresql+asyncpg://{user}@127.0.0.1:{port}{path}?ssl=disable"
