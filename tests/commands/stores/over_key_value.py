"""A store over py-key-value, as an author writes one: one value for each identity, with all of its sessions."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from key_value.aio.protocols import AsyncKeyValue

from reference_backends import SessionData, SessionExistsError, SessionNotFoundError, SessionUpdate
from reference_backends.core.base import BaseBackend
from reference_backends.core.validation import check_changes, check_identity, check_names, check_session

INDEX = "identities"
Rows = dict[str, Any]

_locks: weakref.WeakKeyDictionary[Any, asyncio.Lock] = weakref.WeakKeyDictionary()


class KeyValueSessions(BaseBackend):
    label = "key-value"

    def __init__(self, key_value: AsyncKeyValue, **options: Any) -> None:
        super().__init__(**options)
        self.key_value = key_value
        self.lock = _locks.setdefault(key_value, asyncio.Lock())  # for the handles of one process

    async def init(self) -> None:
        self._opened()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        session = check_session(session)
        row = {"record": self._codec.record(session), "expires_at": self._expiry(ttl)}
        async with self.lock:
            rows = await self._live(session.identity)
            if session.session_id in rows:
                raise SessionExistsError(f"session {session.session_id!r} exists already")
            await self._put(session.identity, rows | {session.session_id: row})

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = check_names(identity, session_id)
        named, expires_at = check_changes(changes), self._expiry(ttl)
        async with self.lock:
            rows = await self._live(identity)
            if session_id not in rows:
                raise SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
            record = self._codec.updated(rows[session_id]["record"], named)
            await self._put(identity, rows | {session_id: {"record": record, "expires_at": expires_at}})

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        identity, session_id = check_names(identity, session_id)
        row = (await self._live(identity)).get(session_id)
        return self._codec.session(row["record"]) if row else None

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [self._codec.session(row["record"]) for row in (await self._live(check_identity(identity))).values()]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return list(await self._live(check_identity(identity)))

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = check_names(identity, session_id)
        async with self.lock:
            rows = await self._live(identity)
            if rows.pop(session_id, None):
                await self._put(identity, rows)

    async def get_all_session_ids(self) -> list[str]:
        return [each for identity in await self._identities() for each in await self._live(identity)]

    async def clear_all(self) -> None:
        async with self.lock:
            for identity in await self._identities():
                await self.key_value.delete(identity, collection="sessions")
            await self.key_value.delete(INDEX)

    async def cleanup_expired_sessions(self) -> None:
        async with self.lock:
            for identity in await self._identities():
                await self._put(identity, await self._live(identity))

    async def disconnect(self) -> None:
        self._open = False

    async def _live(self, identity: str) -> Rows:
        self._require_open()
        rows = await self.key_value.get(identity, collection="sessions") or {}
        return {each: row for each, row in rows.items() if self._clock() < row["expires_at"]}

    async def _identities(self) -> Rows:
        self._require_open()
        return await self.key_value.get(INDEX) or {}

    async def _put(self, identity: str, rows: Rows) -> None:
        """Store the rows of an identity. The index names it before, and forgets it after, so none is lost between."""
        identities = await self._identities()
        if rows and identity not in identities:
            await self.key_value.put(INDEX, identities | {identity: 1})
        if rows:
            await self.key_value.put(identity, rows, collection="sessions")
        else:
            await self.key_value.delete(identity, collection="sessions")
            await self.key_value.put(INDEX, {each: 1 for each in identities if each != identity})
