"""Stores that do something else when another caller came between, or that lock some of their methods only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.sealing import Ring, SealingBackend
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError, SessionUpdate
from reference_backends.core.validation import check_changes, check_session

SECRETS = ("tokens", "headers")


class _Swapping(InMemoryBackend):
    """Base: updates by compare and swap; ``conflicting`` is what it writes if another update came between."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, named, expires_at = (identity, session_id), check_changes(changes), self._expiry(ttl)
        seen = await self.call(lambda rows: self.live(rows, name))

        def swap(rows: Rows) -> None:
            row = self.live(rows, name)
            if row is None:
                raise SessionNotFoundError("there is no such session")
            usual = Row(self.merged(row.record, named), expires_at)
            rows[name] = usual if row is seen else self.conflicting(row, named, usual)

        await self.call(swap)

    def conflicting(self, row: Row, named: Mapping[str, Any], usual: Row) -> Row:
        """Return the row to write."""
        return usual


@broken("EN-1", "MX-2")
class RetriesInClear(_Swapping):
    """Merges and writes on a second path if another update came between, and does not seal there."""

    def conflicting(self, row: Row, named: Mapping[str, Any], usual: Row) -> Row:
        return usual._replace(record={**usual.record, **{f: named[f] for f in SECRETS if named.get(f) is not None}})


class _Ring(Ring):
    """A keyring that can be made to use an IV again."""

    again: ClassVar[bytes | None] = None

    def iv(self, plain: bytes) -> bytes:
        return self.again or super().iv(plain)


class _RetriesWithTheOldIv(_Swapping, SealingBackend):
    ring = _Ring

    def conflicting(self, row: Row, named: Mapping[str, Any], usual: Row) -> Row:
        old = str(row.record.get("tokens"))
        if old.startswith("enc:1:"):
            _Ring.again = bytes.fromhex(old.split(":")[2])
        try:
            return usual._replace(record=self.merged(row.record, named))
        finally:
            _Ring.again = None


class RetriesWithTheOldIv(InMemoryHarness):
    """Seals again with the IV of the stored value if another update came between."""

    breaks = "EN-3"
    backend = _RetriesWithTheOldIv


@broken("EN-10")
class LogsItsConflicts(_Swapping):
    """Logs the changes at each conflict, to explain later who overwrote what."""

    def conflicting(self, row: Row, named: Mapping[str, Any], usual: Row) -> Row:
        logging.getLogger("store").info("conflict: %r", dict(named))
        return usual


@broken("EX-7")
class RetriesForTheDefaultTtl(_Swapping):
    """Writes with the default TTL if another update came between: the retry does not have the ttl."""

    def conflicting(self, row: Row, named: Mapping[str, Any], usual: Row) -> Row:
        return usual._replace(expires_at=self._expiry(None))


@broken("CO-2")
class CleanupWritesItAllBack(InMemoryBackend):
    """Reads all rows, filters them and writes them back: updates that came between are lost."""

    async def cleanup_expired_sessions(self) -> None:
        kept = await self.call(lambda rows: {name: row for name, row in rows.items() if self.live(rows, name)})

        def replace(rows: Rows) -> None:
            rows.clear()
            rows.update(kept)

        await self.call(replace)


@broken("CO-2")
class RemovalWritesItAllBack(InMemoryBackend):
    """The same in a removal."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        kept = await self.call(lambda rows: {n: row for n, row in rows.items() if n != (identity, session_id)})

        def replace(rows: Rows) -> None:
            rows.clear()
            rows.update(kept)

        await self.call(replace)


class _Ends(InMemoryBackend):
    """Base: reads use the row's end, and cleanup uses an index of ends."""

    def ends(self) -> set[tuple[float, SessionKey]]:
        found: set[tuple[float, SessionKey]] = vars(self.store).setdefault("ends", set())
        return found

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name, row = (session.identity, session.session_id), Row(self.kept(check_session(session)), self._expiry(ttl))

        def insert(rows: Rows) -> None:
            if self.live(rows, name):
                raise SessionExistsError("that session exists already")
            self.forget(name)
            self.ends().add((row.expires_at, name))
            rows[name] = row

        await self.call(insert)

    def forget(self, name: SessionKey) -> None:
        """Remove the name's ends from the index."""
        self.ends().difference_update({each for each in self.ends() if each[1] == name})

    async def remove_session(self, identity: str, session_id: str) -> None:
        def remove(rows: Rows) -> None:
            rows.pop((identity, session_id), None)
            self.forget((identity, session_id))

        await self.call(remove)

    async def clear_all(self) -> None:
        def clear(rows: Rows) -> None:
            rows.clear()
            self.ends().clear()

        await self.call(clear)

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for end, name in [each for each in self.ends() if each[0] <= self._clock()]:
                rows.pop(name, None)
                self.ends().discard((end, name))

        await self.call(remove)


@broken("EX-5")
class EndsTwiceUnderContention(_Ends):
    """Reads the old end, writes, and replaces it in the index: of two renewals at once one leaves its end there."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = identity, session_id
        named, new = check_changes(changes), self._expiry(ttl)
        old = await self.call(lambda rows: self.live(rows, name))

        def change(rows: Rows) -> None:
            row = self.live(rows, name)
            if row is None or old is None:
                raise SessionNotFoundError("there is no such session")
            rows[name] = Row(self.merged(row.record, named), new)
            self.ends().discard((old.expires_at, name))
            self.ends().add((new, name))

        await self.call(change)


class _Locked(InMemoryBackend):
    """Base: an update reads, merges and writes back under a lock of the store, which removals take too."""

    def lock(self) -> asyncio.Lock:
        found: asyncio.Lock = vars(self.store).setdefault("lock", asyncio.Lock())
        return found

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, named, expires_at = (identity, session_id), check_changes(changes), self._expiry(ttl)
        async with self.lock():
            row = await self.call(lambda rows: self.live(rows, name))
            if row is None:
                raise SessionNotFoundError("there is no such session")
            new = Row(self.merged(row.record, named), expires_at)
            await self.call(lambda rows: rows.__setitem__(name, new))

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        async with self.lock():
            await super().create_session(session, ttl)

    async def remove_session(self, identity: str, session_id: str) -> None:
        async with self.lock():
            await super().remove_session(identity, session_id)


@broken("LC-10")
class ClearUndoneByAnUpdate(_Locked):
    """Takes no lock in ``clear_all``: an update that has read before the clear writes the session back."""

    async def cleanup_expired_sessions(self) -> None:
        async with self.lock():
            await super().cleanup_expired_sessions()


class _Together(InMemoryBackend):
    """Base: reads and writes some fields together, as one column."""

    column: tuple[str, ...] = ()

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        named: Any = dict(changes)
        if set(self.column) & named.keys():
            row = await self.call(lambda rows: self.live(rows, (identity, session_id)))
            if row is None:
                raise SessionNotFoundError("there is no such session")
            session = self.shown(row.record)
            named = {field: getattr(session, field) for field in self.column} | named
        await super().update_session(identity, session_id, named, ttl)


@broken("CO-2")
class FlagsInOneColumn(_Together):
    """Keeps ``active`` and ``transport_type`` in one column of flags, which it reads, changes and writes back."""

    column = ("active", "transport_type")


@broken("CO-2")
class ServerInOneColumn(_Together):
    """Keeps the server's id, name and time of creation in one JSON column, which it reads, changes and writes back."""

    column = ("server_id", "server_name", "created_at")
