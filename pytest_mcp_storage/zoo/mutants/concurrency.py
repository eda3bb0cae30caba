"""Stores that fail when several callers come at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, Unpack

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, InMemoryStore, Row, Rows
from pytest_mcp_storage.zoo.json_store import JsonStore, JsonStoreHarness
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError, SessionUpdate
from reference_backends.core.base import BackendOptions
from reference_backends.core.validation import check_changes, check_session

Result = TypeVar("Result")
PIECE = 4096


class _LooksFirst(InMemoryBackend):
    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name = session.identity, session.session_id
        if await self.call(lambda rows: self.live(rows, name)):
            raise SessionExistsError("that session exists already")
        row = Row(self._codec.record(check_session(session)), self._expiry(ttl))
        await self.call(lambda rows: rows.update({name: row}))


class LooksFirst(InMemoryHarness):
    """Checks that the session is missing, then inserts it: another caller's create can come between the two steps."""

    breaks = "CO-1"
    backend = _LooksFirst


class _WritesTheWhole(JsonStore):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.copy: Rows | None = None

    async def request(self, work: Callable[[Rows], Result]) -> Result:
        if self.copy is None:
            self.copy = self.load()
        before = dict(self.copy)
        answer = work(self.copy)
        if self.copy != before:
            await self.write(self.text(self.copy))
        return answer

    async def write(self, text: bytes) -> None:
        """Empty the file and write it piece by piece, with other callers in between."""
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for start in range(0, len(text), PIECE):
                await self.pause()
                os.write(file, text[start : start + PIECE])
        finally:
            os.close(file)

    def leave(self) -> None:
        self.copy = None
        super().leave()


class WritesTheWhole(JsonStoreHarness):
    """Answers from memory and lets each change write the whole file, as upstream: two at once leave invalid JSON."""

    breaks = "CO-1"
    store = _WritesTheWhole


class _ReadsThenWrites(InMemoryBackend):
    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        session = await self.get_session(identity, session_id)
        if session is None:
            raise SessionNotFoundError("there is no such session")
        merged: Any = {**session.model_dump(exclude={"identity", "session_id"}), **changes}
        await super().update_session(identity, session_id, merged, ttl)


class ReadsThenWrites(InMemoryHarness):
    """Reads the session, merges in Python and writes all of it back, as upstream's SQLite store: updates get lost."""

    breaks = "CO-2"
    backend = _ReadsThenWrites


class _Upserts(InMemoryBackend):
    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, named, expires_at = (identity, session_id), check_changes(changes), self._expiry(ttl)
        found = await self.call(lambda rows: self.live(rows, name))
        if found is None:
            raise SessionNotFoundError("there is no such session")

        def upsert(rows: Rows) -> None:
            record = rows.get(name, found).record
            rows[name] = Row(self._codec.updated(record, named), expires_at)

        await self.call(upsert)


class Upserts(InMemoryHarness):
    """Writes an update by an upsert, since the session was there a moment ago: a removal in between is undone."""

    breaks = "CO-2"
    backend = _Upserts


class _CachesWhatItRead(InMemoryBackend):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.cache: dict[tuple[str, str], SessionData] = {}

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = (identity, session_id)
        if name not in self.cache:
            session = await super().get_session(identity, session_id)
            if session is None:
                return None
            self.cache[name] = session
        return self.cache[name].model_copy(deep=True)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        self.cache.pop((identity, session_id), None)
        await super().update_session(identity, session_id, changes, ttl)
        self.cache.pop((identity, session_id), None)

    async def remove_session(self, identity: str, session_id: str) -> None:
        self.cache.pop((identity, session_id), None)
        await super().remove_session(identity, session_id)
        self.cache.pop((identity, session_id), None)


class CachesWhatItRead(InMemoryHarness):
    """Keeps a cache that each write empties; a read that had already begun puts the old session back, for good."""

    breaks = "CO-3"
    backend = _CachesWhatItRead


class _ReadsByHalves(InMemoryBackend):
    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        session = await super().get_session(identity, session_id)
        secrets = await super().get_session(identity, session_id)
        if session is None or secrets is None:
            return None
        return session.model_copy(update={"tokens": secrets.tokens, "code_verifier": secrets.code_verifier})


class ReadsByHalves(InMemoryHarness):
    """Keeps secrets in a second table and reads one after the other: tokens of one update, the rest of another."""

    breaks = "CO-3"
    backend = _ReadsByHalves


class _SharesReads(InMemoryBackend):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.running: dict[tuple[str, str], asyncio.Task[SessionData | None]] = {}

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = identity, session_id
        if name not in self.running or self.running[name].done():
            self.running[name] = asyncio.ensure_future(super().get_session(*name))
        return await asyncio.shield(self.running[name])


class SharesReads(InMemoryHarness):
    """Lets a read share one that has already begun, possibly before the last write."""

    breaks = "CO-3"
    backend = _SharesReads


class _RemembersAbsence(InMemoryBackend):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.absent: set[tuple[str, str]] = set()

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = identity, session_id
        session = None if name in self.absent else await super().get_session(*name)
        if session is None:
            self.absent.add(name)
        return session

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.absent.discard((session.identity, session.session_id))


class RemembersAbsence(InMemoryHarness):
    """Caches misses, against floods of bad ids: what another handle then creates is never found."""

    breaks = "CO-4"
    backend = _RemembersAbsence


class _RemembersWhatItCreated(InMemoryBackend):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.created: set[tuple[str, str]] = set()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name = session.identity, session.session_id
        if name in self.created:
            raise SessionExistsError("that session exists already")
        await super().create_session(session, ttl)
        self.created.add(name)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.created.discard((identity, session_id))


class RemembersWhatItCreated(InMemoryHarness):
    """Refuses an id that it has created before without a query, although another handle has removed it since."""

    breaks = "CO-4"
    backend = _RemembersWhatItCreated


class _KeepsItsOwnCopy(InMemoryBackend):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.copy: Rows = {}

    async def init(self) -> None:
        await super().init()
        self.copy = dict(self.store.rows)

    async def request(self, work: Callable[[Rows], Result]) -> Result:
        before = dict(self.copy)
        try:
            return await super().request(lambda rows: work(self.copy))
        finally:
            if self.copy != before:
                self.store.rows = dict(self.copy)


class KeepsItsOwnCopy(InMemoryHarness):
    """Loads everything once and writes its own copy back, as upstream's file store: two handles undo each other."""

    breaks = "CO-4"
    backend = _KeepsItsOwnCopy


class _LocksItself(_ReadsThenWrites):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.lock = asyncio.Lock()

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        async with self.lock:
            await super().update_session(identity, session_id, changes, ttl)


class LocksItself(InMemoryHarness):
    """Guards read and write by a lock of the handle: correct with one handle, and no lock between two."""

    breaks = "CO-5"
    backend = _LocksItself


class _LocksNoOtherProcess(JsonStore):
    def done(self, work: Callable[[Rows], Result]) -> Result:
        rows = self.load()
        before = dict(rows)
        answer = work(rows)
        if rows != before or not self.path.exists():
            self.save(rows)
        return answer


class LocksNoOtherProcess(JsonStoreHarness):
    """Takes no lock, since one process runs one step at a time, and ignores other processes."""

    breaks = "CO-5"
    store = _LocksNoOtherProcess
