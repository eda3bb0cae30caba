"""Stores that give right answers, slowly: what the benchmark must find."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.harnesses.redis import RedisHarness
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, Row, Rows
from reference_backends import MemoryStorageBackend, SessionData


class FullScan(InMemoryHarness):
    """Every row is looked at to find one."""

    class backend(InMemoryBackend):  # noqa: N801
        def live(self, rows: Rows, name: SessionKey) -> Row | None:
            found = [row for key, row in rows.items() if key == name and self._clock() < row.expires_at]
            return found[0] if found else None

        def of(self, rows: Rows, identity: str) -> dict[str, Row]:
            return {key[1]: row for key, row in rows.items() if row.record["identity"] == identity}


class MissingIndex(SqliteHarness):
    """The index on the identity is missing."""

    async def open(self, **options: Any) -> Any:
        backend = await super().open(**options)
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("DROP INDEX idx_mcp_sessions_identity")
        return backend


class Reconnecting:
    """A backend that connects for each call."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            backend = await self._connect()
            try:
                return await getattr(backend, name)(*arguments, **options)
            finally:
                await backend.disconnect()

        return call

    async def disconnect(self) -> None:
        pass


class ReconnectingSqlite(SqliteHarness):
    async def open(self, **options: Any) -> Any:
        return Reconnecting(lambda: SqliteHarness.open(self, **options))


class ReconnectingRedis(RedisHarness):
    async def open(self, **options: Any) -> Any:
        return Reconnecting(lambda: RedisHarness.open(self, **options))


class Forgetful(MemoryHarness):
    """Its listing lacks a session."""

    async def open(self, **options: Any) -> Any:
        class Lacking(MemoryStorageBackend):
            async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
                return (await super().get_identity_sessions_data(identity))[1:]

        backend = Lacking()
        await backend.init()
        return backend


class Hung(MemoryHarness):
    """``get_session`` never returns, except before the run."""

    async def open(self, **options: Any) -> Any:
        class Waiting(MemoryStorageBackend):
            async def get_session(self, identity: str, session_id: str) -> SessionData | None:
                if identity.startswith("mcp-bench"):
                    await asyncio.Event().wait()
                return None

        backend = Waiting()
        await backend.init()
        return backend


def shared() -> MemoryStorageBackend:
    """Return a backend of which the benchmark knows nothing else."""
    backend = MemoryStorageBackend()
    opened.append(backend)
    return backend


opened: list[MemoryStorageBackend] = []
