"""Stores in which a renewal, or an update with a ttl, has a separate code path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError, SessionUpdate
from reference_backends.core.base import BackendOptions
from reference_backends.core.validation import check_changes, check_names, check_session

DAY = 86_400.0


class _Altering(InMemoryBackend):
    """Base: an update is altered, or its ttl, before it is done."""

    def altered(self, changes: Mapping[str, Any], ttl: float | None) -> tuple[Mapping[str, Any], float | None]:
        raise NotImplementedError

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        check_changes(changes)
        self._expiry(ttl)
        named, lives = self.altered(changes, ttl)
        await super().update_session(identity, session_id, named, lives)  # type: ignore[arg-type]


@broken("LC-4")
class SkipsNoneWithATtl(_Altering):
    """Has a separate statement for updates with a ttl, which leaves out what is None."""

    def altered(self, changes: Mapping[str, Any], ttl: float | None) -> tuple[Mapping[str, Any], float | None]:
        return {field: value for field, value in changes.items() if value is not None or ttl is None}, ttl


@broken("LC-3")
class ForgetsTheClientWithATtl(_Altering):
    """The same by a list of columns that lacks one which the other statement has."""

    def altered(self, changes: Mapping[str, Any], ttl: float | None) -> tuple[Mapping[str, Any], float | None]:
        return {field: value for field, value in changes.items() if ttl is None or field != "client_information"}, ttl


@broken("EX-9")
class UpdatesForAMonthAtMost(_Altering):
    """Caps the TTL at a month if a field is written, and not if a session is only renewed."""

    def altered(self, changes: Mapping[str, Any], ttl: float | None) -> tuple[Mapping[str, Any], float | None]:
        return changes, min(ttl, 30 * DAY) if changes and ttl is not None else ttl


@broken("EX-9")
class UpdateCutsFractions(_Altering):
    """Creates with milliseconds (PX) and renews with seconds (EXPIRE), which takes whole ones."""

    def altered(self, changes: Mapping[str, Any], ttl: float | None) -> tuple[Mapping[str, Any], float | None]:
        return changes, None if ttl is None else max(1, int(ttl))


class _Firsts(InMemoryBackend):
    """Base: keeps when each session was created, and when it was to end then."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.written_at: dict[SessionKey, float] = vars(store).setdefault("written_at", {})
        self.ends: dict[SessionKey, float] = vars(store).setdefault("ends", {})

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        row = Row(self.kept(check_session(session)), self._expiry(ttl))
        name = session.identity, session.session_id

        def insert(rows: Rows) -> None:
            if self.taken(rows, name):
                raise SessionExistsError("that session exists already")
            rows[name] = row
            self.written_at[name], self.ends[name] = self._clock(), row.expires_at

        await self.call(insert)

    def taken(self, rows: Rows, name: SessionKey) -> bool:
        return self.live(rows, name) is not None


@broken("LC-1")
class CreatesByTheFirstEnd(_Firsts):
    """Keeps the end in the row and in the server's own TTL; a renewal moves that, and a create asks the row."""

    def taken(self, rows: Rows, name: SessionKey) -> bool:
        return super().taken(rows, name) and self._clock() < self.ends[name]


@broken("EX-7")
class UpdatesByTheFirstEnd(_Firsts):
    """The same, but an update checks the row: a session is renewed once."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        if name in self.ends and self.ends[name] <= self._clock():
            raise SessionNotFoundError("there is no such session")
        await super().update_session(identity, session_id, changes, ttl)


@broken("EX-7")
class EndsAWeekAfterItsCreate(_Firsts):
    """Has an absolute timeout, as session middleware has: no renewal for the default goes past it."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        name = identity, session_id

        def cap(rows: Rows) -> None:
            if ttl is None and name in rows:
                rows[name] = rows[name]._replace(expires_at=min(rows[name].expires_at, self.written_at[name] + 7 * DAY))

        await self.call(cap)


@broken("EX-5")
class CleanupForgetsTheRenewed(_Firsts):
    """Takes a renewed session out of the list of ends when its first end comes, and never checks it again."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name, end in self.ends.items() if end <= self._clock()]:
                del self.ends[name]
                if not self.live(rows, name):
                    rows.pop(name, None)

        await self.call(remove)


@broken("EX-5")
class NullIsNotLess(InMemoryBackend):
    """Has NULL for the default TTL, and cleans up ``WHERE expires_at < now()``, which NULL never is."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.null: set[SessionKey] = vars(store).setdefault("null", set())

    def mark(self, name: SessionKey, ttl: float | None) -> None:
        (self.null.add if ttl is None else self.null.discard)(name)

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.mark((session.identity, session.session_id), ttl)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self.mark((identity, session_id), ttl)

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name in rows if not self.live(rows, name) and name not in self.null]:
                del rows[name]

        await self.call(remove)


class _Touching(InMemoryBackend):
    """Base: a renewal for the default TTL is kept in memory, to save a write."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.touched: dict[SessionKey, float] = {}

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        row = rows.get(name)
        return row if row is not None and self._clock() < self.touched.get(name, row.expires_at) else None

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        if changes or ttl is not None:
            await super().update_session(identity, session_id, changes, ttl)
            self.touched.pop(name, None)
            return
        if await self.call(lambda rows: self.live(rows, name)) is None:
            raise SessionNotFoundError("there is no such session")
        self.touched[name] = self._expiry(None)

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.touched.pop((session.identity, session.session_id), None)


@broken("DU-1", "CO-4")
class TouchesInMemory(_Touching):
    """Keeps renewals in memory only: after a restart the session has its old end."""


@broken("CO-4")
class TouchesWhenItCloses(_Touching):
    """The same, written down at disconnect: until then another handle ends the session in use."""

    async def disconnect(self) -> None:
        rows = self.store.rows
        for name, end in self.touched.items():
            if name in rows:
                rows[name] = rows[name]._replace(expires_at=end)
        self.touched.clear()
        await super().disconnect()


@broken("CO-2")
class RenewsByWritingTheWhole(InMemoryBackend):
    """Reads the session and sets it again with a new TTL (GET, SETEX): an update in between is undone."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if changes:
            return await super().update_session(identity, session_id, changes, ttl)
        name, expires_at = check_names(identity, session_id), self._expiry(ttl)
        row = await self.call(lambda rows: self.live(rows, name))
        if row is None:
            raise SessionNotFoundError("there is no such session")
        await self.call(lambda rows: rows.update({name: row._replace(expires_at=expires_at)}))
        return None


@broken("CO-2")
class WritesTheWholeWithATtl(InMemoryBackend):
    """The same for every update with a ttl, while the others are one script."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if ttl is None:
            return await super().update_session(identity, session_id, changes, ttl)
        name, named, expires_at = check_names(identity, session_id), check_changes(changes), self._expiry(ttl)
        row = await self.call(lambda rows: self.live(rows, name))
        if row is None:
            raise SessionNotFoundError("there is no such session")
        await self.call(lambda rows: rows.update({name: Row(self.merged(row.record, named), expires_at)}))
        return None


@broken("EX-7")
class RenewsOnlyWhatChanges(InMemoryBackend):
    """Writes nothing, and so renews nothing, if an update without ttl names what is stored already."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, named = self.key(*check_names(identity, session_id)), check_changes(changes)
        row = await self.call(lambda rows: self.live(rows, name))
        if ttl is None and named and row and all(row.record.get(field) == value for field, value in named.items()):
            return
        await super().update_session(identity, session_id, changes, ttl)
