"""Stores that go wrong only if one operation follows certain others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Unpack

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError, SessionUpdate
from reference_backends.core.base import BackendOptions
from reference_backends.core.record import Record


@broken("EX-2")
class GoesByTheMachineOnceReopened(InMemoryBackend):
    """Drops its options when it is closed: opened again, it goes by the time of the machine."""

    async def disconnect(self) -> None:
        await super().disconnect()
        self._clock = time.time


@broken("EX-7")
class ShortensOnce(InMemoryBackend):
    """Keeps the latest end that a session ever had, so that no slow request shortens it, and no update either."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = self.key(identity, session_id)
        before = self.store.rows.get(name)
        await super().update_session(identity, session_id, changes, ttl)
        row = self.store.rows.get(name)
        if ttl is not None and before is not None and row is not None and changes:
            self.store.rows[name] = row._replace(expires_at=max(before.expires_at, row.expires_at))


@broken("EX-4")
class ReturnsTheEndWithTheName(InMemoryBackend):
    """Keeps the end of a session that cleanup removed, for its statistics, and a session created anew takes it up."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.ends: dict[SessionKey, float] = vars(store).setdefault("ends", {})

    async def cleanup_expired_sessions(self) -> None:
        self.ends.update(
            {name: row.expires_at for name, row in self.store.rows.items() if row.expires_at <= self._clock()}
        )
        await super().cleanup_expired_sessions()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        name = self.key(session.identity, session.session_id)
        if name in self.ends:
            self.store.rows[name] = self.store.rows[name]._replace(expires_at=self.ends.pop(name))


class _AfterARefusal(InMemoryBackend):
    """Base: notes that a call was refused."""

    refused = False

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        try:
            await super().create_session(session, ttl)
        except SessionExistsError:
            self.refused = True
            raise

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except SessionNotFoundError:
            self.refused = True
            raise


@broken("LC-8")
class RollsTheNextCallBack(_AfterARefusal):
    """Leaves a refused call's transaction open: the removal that comes next joins it, and is rolled back with it."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        if self.refused:
            self.refused = False
            await self.get_session(identity, session_id)
        else:
            await super().remove_session(identity, session_id)


@broken("LC-3")
class MergesAfterARevocation(InMemoryBackend):
    """Takes what an update brings for a patch of the object that was there before it was revoked."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        history = vars(self.store).setdefault("history", {})
        place = record["identity"], record["session_id"]
        merged = super().merged(record, named)
        if "client_information" in named and named["client_information"] and place in history:
            return super().merged(record, {**named, "server_id": history.pop(place)})
        if "server_id" in named and named["server_id"] is None and record.get("server_id"):
            history[place] = record["server_id"]
        return merged


@broken("LC-1")
class TakesARenewedOneForNew(InMemoryBackend):
    """Marks what a renewal has touched as fresh, and lets a create overwrite what is fresh once time has passed."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        if not changes:
            vars(self.store).setdefault("fresh", {})[self.key(identity, session_id)] = self._clock()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name = self.key(session.identity, session.session_id)
        renewed = vars(self.store).setdefault("fresh", {}).pop(name, None)
        if renewed is not None and self._clock() > renewed:
            self.store.rows.pop(name, None)
        await super().create_session(session, ttl)
