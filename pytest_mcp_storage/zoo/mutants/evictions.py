"""Stores that find a session expired and then remove it by name, although a new one may have that name by then."""

from __future__ import annotations

import asyncio
from typing import Any

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData
from reference_backends.core.validation import check_identity, check_names, check_session


class _Evicting(InMemoryBackend):
    """Base: looks for expired rows in one step, and removes them in the next."""

    async def dead(self, *names: SessionKey) -> list[SessionKey]:
        """Return those of the names, or of all names, that have an expired row."""
        return await self.call(
            lambda rows: [name for name in names or list(rows) if name in rows and not self.live(rows, name)]
        )

    async def evict(self, *names: SessionKey) -> None:
        for name in names:
            await self.call(lambda rows, name=name: rows.pop(name, None))  # type: ignore[misc]


@broken("CO-1")
class RemovesTheDeadFirst(_Evicting):
    """Removes the expired row before a create: two creates at once remove each other's session."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        check_session(session)
        self._expiry(ttl)
        await self.evict(*await self.dead((session.identity, session.session_id)))
        await super().create_session(session, ttl)


@broken("CO-5")
class RemovesTheDeadUnderItsLock(_Evicting):
    """The same under a lock of the handle, which does not exclude another handle."""

    def __init__(self, store: InMemoryStore, **options: Any) -> None:
        super().__init__(store, **options)
        self.lock = asyncio.Lock()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        check_session(session)
        self._expiry(ttl)
        async with self.lock:
            await self.evict(*await self.dead((session.identity, session.session_id)))
            await super().create_session(session, ttl)


@broken("EX-5")
class CleanupByName(_Evicting):
    """Selects what has expired, then deletes it by primary key, as an ORM does."""

    async def cleanup_expired_sessions(self) -> None:
        await self.evict(*await self.dead())


@broken("EX-4")
class ReadEvicts(_Evicting):
    """Deletes what it finds expired as it reads (lazy expiry), without a second look."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = check_names(identity, session_id)
        row = await self.call(lambda rows: rows.get(name))
        if row is not None and self._clock() < row.expires_at:
            return self.shown(row.record)
        if row is not None:
            await self.evict(name)
        return None


@broken("EX-4")
class ListingEvicts(_Evicting):
    """The same in the listing, which finds most of the expired rows."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        check_identity(identity)
        await self.evict(*[name for name in await self.dead() if name[0] == identity])
        return await super().get_identity_sessions_data(identity)
