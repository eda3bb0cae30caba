"""Stores that keep rows by both names, and clear up or end them by a pattern or a name made of the two."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Unpack

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate
from reference_backends.core.base import BackendOptions


@broken("LC-10")
class ClearsByGlob(InMemoryBackend):
    """Clears one identity after the other by ``KEYS identity:*``: ``[a]`` is a pattern, and not one for itself."""

    async def clear_all(self) -> None:
        def clear(rows: Rows) -> None:
            for identity in {name[0] for name in rows}:
                for name in [name for name in rows if fnmatchcase(name[0], identity)]:
                    del rows[name]

        await self.call(clear)


@broken("EX-10")
class EndsByTheJoinedName(InMemoryBackend):
    """Keeps ends in a sorted set, by ``identity:session``: what joins to the same name ends at the same time."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.ends: dict[str, float] = vars(store).setdefault("ends", {})

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        row = rows.get(name)
        end = self.ends.get(":".join(name), 0.0)
        return row if row is not None and self._clock() < max(end, row.expires_at) else None

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.ends[f"{session.identity}:{session.session_id}"] = self._expiry(ttl)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self.ends[f"{identity}:{session_id}"] = self._expiry(ttl)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.ends.pop(f"{identity}:{session_id}", None)


@broken("EX-5")
class CleanupSplitsNames(InMemoryBackend):
    """Finds the two names in a member of its sorted set by the last colon, which may be one of the id's."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name in rows if not self.live(rows, name)]:
                identity, _, session_id = ":".join(name).rpartition(":")
                rows.pop((identity, session_id), None)

        await self.call(remove)


@broken("EX-5")
class CleanupByTheJoinedName(InMemoryBackend):
    """Deletes ``WHERE identity || ':' || session_id IN (…)``: a live session may join to an expired one's name."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            dead = {":".join(name) for name in rows if not self.live(rows, name)}
            for name in [name for name in rows if ":".join(name) in dead]:
                del rows[name]

        await self.call(remove)


@broken("EX-5")
class CleansAHundredIdentities(InMemoryBackend):
    """Cleans up identity by identity, those of the first page."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            page = list(dict.fromkeys(name[0] for name in rows))[:100]
            for name in [name for name in rows if name[0] in page and not self.live(rows, name)]:
                del rows[name]

        await self.call(remove)
