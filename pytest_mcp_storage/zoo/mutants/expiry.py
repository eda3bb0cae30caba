"""Stores that serve what has expired, or lose what has not."""

from __future__ import annotations

import math
import time
from typing import Any, ClassVar

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.mutants.lifetimes import Bounded
from reference_backends import SessionData, SessionExistsError, SessionUpdate
from reference_backends.core.validation import check_names

DAY = 86_400.0


class _Everlasting(InMemoryBackend):
    """Base: reads ignore the time."""

    def row(self, rows: Rows, name: SessionKey) -> Row | None:
        return rows.get(name)


@broken("EX-2")
class IgnoresTtl(Bounded):
    """Accepts the argument only because the interface has it, as upstream's memory and file stores."""

    def bounded(self, seconds: float) -> float:
        return 1000 * 365 * DAY


@broken("EX-2")
class ServesUntilCleanup(InMemoryBackend):
    """Leaves expiry to the cleanup job, as upstream's SQLite and Supabase stores."""

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        return rows.get(name)

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name, row in rows.items() if row.expires_at <= self._clock()]:
                del rows[name]

        await self.call(remove)


@broken("EX-2")
class GetForgetsExpiry(_Everlasting):
    """Filters by expiry in the listings; get just looks up by key."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = check_names(identity, session_id)
        row = await self.call(lambda rows: self.row(rows, name))
        return None if row is None else self.shown(row.record)


@broken("EX-2")
class ListingForgetsExpiry(_Everlasting):
    """Filters by expiry in get; the listings show what is in the index."""

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        return {name[1]: row for name, row in rows.items() if name[0] == identity}


@broken("EX-2")
class AllIdsForgetExpiry(InMemoryBackend):
    """Filters by expiry in the users' reads, and not in the administrator's."""

    async def get_all_session_ids(self) -> list[str]:
        return await self.call(lambda rows: [name[1] for name in rows])


@broken("EX-2")
class RoundsUpToMinutes(Bounded):
    """Rounds TTLs up to minutes, the unit of its cache."""

    def bounded(self, seconds: float) -> float:
        return math.ceil(seconds / 60) * 60 + 60


@broken("EX-2")
class GraceOfFiveSeconds(Bounded):
    """Grants a grace period, so that requests in progress can finish."""

    def bounded(self, seconds: float) -> float:
        return seconds + 5


@broken("EX-2")
class ReadingRenews(InMemoryBackend):
    """Slides the expiry whenever a session is read: one that is polled never ends."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = await super().get_session(identity, session_id)
        if found is not None:
            await self.update_session(identity, session_id, {})
        return found

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found = await super().get_identity_sessions_data(identity)

        def slide(rows: Rows) -> None:
            for name in [name for name, row in rows.items() if row.expires_at <= self._clock() + 3]:
                rows[name] = rows[name]._replace(expires_at=self._clock() + DAY)

        await self.call(slide)
        return found

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        row = rows.get(name)
        return row if row is not None and self._clock() < row.expires_at + 10 else None


@broken("EX-2")
class CacheOutlivesTheTtl(InMemoryBackend):
    """Caches what it has read until a write empties the cache, and ignores the time."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.cache: dict[SessionKey, SessionData] = {}

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = identity, session_id
        if name not in self.cache and (found := await super().get_session(identity, session_id)) is not None:
            self.cache[name] = found
        return self.cache.get(name) or await super().get_session(identity, session_id)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self.cache.clear()

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.cache.clear()


@broken("EX-3")
class UpdateRevives(InMemoryBackend):
    """Updates by id without asking for expiry: a late refresh brings the session back."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        def revive(rows: Rows) -> None:
            if row := rows.get((identity, session_id)):
                rows[identity, session_id] = row._replace(expires_at=math.inf)

        check_names(identity, session_id)
        await self.call(revive)
        await super().update_session(identity, session_id, changes, ttl)


@broken("EX-3")
class RenewalRevives(InMemoryBackend):
    """Renews by id, without a check of expiry, if an update names no field."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, expires_at = check_names(identity, session_id), self._expiry(ttl)

        def renew(rows: Rows) -> None:
            if not changes and name in rows:
                rows[name] = rows[name]._replace(expires_at=expires_at)

        await self.call(renew)
        await super().update_session(identity, session_id, changes, ttl)


@broken("EX-3")
class UpdateOfTheExpiredSucceeds(InMemoryBackend):
    """Updates the dead row and reports success; no read shows it, and the new tokens are lost."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if await self.call(lambda rows: (identity, session_id) in rows and not self.live(rows, (identity, session_id))):
            return
        await super().update_session(identity, session_id, changes, ttl)


@broken("EX-4")
class DeadRowsBlock(InMemoryBackend):
    """Relies on the primary key, which an expired row still holds."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if await self.call(lambda rows: (session.identity, session.session_id) in rows):
            raise SessionExistsError("that session exists already")
        await super().create_session(session, ttl)


@broken("EX-4")
class OldFieldsShine(InMemoryBackend):
    """Creates over an expired row by an update of the fields that the new session has."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        old = await self.call(lambda rows: rows.get((session.identity, session.session_id)))
        await super().create_session(session, ttl)
        if old is not None:
            name = (session.identity, session.session_id)

            def keep(rows: Rows) -> None:
                rows[name] = rows[name]._replace(record={**old.record, **rows[name].record})

            await self.call(keep)


class _HeadersShine(InMemoryBackend):
    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name = session.identity, session.session_id
        old = await self.call(lambda rows: rows.get(name))
        await super().create_session(session, ttl)
        if old is not None and "headers" in old.record and session.headers is None:
            record = {**old.record, **self.kept(session), "headers": old.record["headers"]}
            await self.call(lambda rows: rows.update({name: rows[name]._replace(record=record)}))


class HeadersShine(InMemoryHarness):
    """Has a table for headers, and writes to it if there are some. It takes no clock: its server has one."""

    breaks = "EX-4"
    backend = _HeadersShine
    capabilities = InMemoryHarness.capabilities - {Capability.CLOCK}


@broken("EX-4")
class NewSessionOldExpiry(InMemoryBackend):
    """Creates over an expired row and leaves its expiry: the new session is expired at once."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name = (session.identity, session.session_id)
        old = await self.call(lambda rows: rows.get(name))
        await super().create_session(session, ttl)
        if old is not None:
            await self.call(lambda rows: rows.update({name: rows[name]._replace(expires_at=old.expires_at)}))


@broken("EX-4")
class DeadIdsOfOthersBlock(InMemoryBackend):
    """Has the id unique over all identities, and does not replace an expired row of another identity."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if await self.call(lambda rows: any(n[1] == session.session_id and n[0] != session.identity for n in rows)):
            raise SessionExistsError("that id is taken")
        await super().create_session(session, ttl)


@broken("EX-5")
class CleanupDoesNothing(InMemoryBackend):
    """Leaves the cleanup for later, with a TODO."""

    async def cleanup_expired_sessions(self) -> None:
        await self.call(lambda rows: None)


@broken("EX-5")
class CleanupTakesTheLiving(InMemoryBackend):
    """Cleans up what will expire within the week: the comparison has a sign wrong."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name, row in rows.items() if row.expires_at <= self._clock() + 7 * DAY]:
                del rows[name]

        await self.call(remove)


@broken("EX-5")
class CleanupTakesOne(InMemoryBackend):
    """Deletes while it iterates, and stops after the first."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            dead = [name for name in rows if not self.live(rows, name)]
            for name in dead[:1]:
                del rows[name]

        await self.call(remove)


@broken("EX-10")
class OneExpiryForTheIdentity(InMemoryBackend):
    """Sets the expiry on the identity's key, which all of its sessions share."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)

        def spread(rows: Rows) -> None:
            for name in [name for name in rows if name[0] == session.identity and self.live(rows, name)]:
                rows[name] = rows[name]._replace(expires_at=rows[session.identity, session.session_id].expires_at)

        await self.call(spread)


@broken("EX-10")
class ExpiryTakesTheIdentityAlong(InMemoryBackend):
    """Drops the identity's index when one of its sessions has expired."""

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        dead = any(name[0] == identity and not self.live(rows, name) for name in rows)
        return {} if dead else super().of(rows, identity)


@broken("EX-10")
class RenewsTheFamily(InMemoryBackend):
    """Renews by ``WHERE identity = ?``: the neighbours live as long."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        expires_at = self._expiry(ttl)

        def renew(rows: Rows) -> None:
            for name in [name for name in rows if name[0] == identity and self.live(rows, name)]:
                rows[name] = rows[name]._replace(expires_at=expires_at)

        await self.call(renew)


@broken("EX-11")
class CountsFromTheOpening(InMemoryBackend):
    """Keeps the TTL, not the moment, and counts it anew whenever the store is opened."""

    async def init(self) -> None:
        await super().init()

        def restart(rows: Rows) -> None:
            for name, row in list(rows.items()):
                rows[name] = row._replace(expires_at=self._clock() + DAY * 2)

        if not getattr(self, "restarted", False):
            self.restarted = True
            await self.call(restart)


@broken("EX-11")
class ForgetsExpiryOnDisk(InMemoryBackend):
    """Holds expiries in the process's memory: after a restart nothing expires any more."""

    async def disconnect(self) -> None:
        if self._open:
            await self.call(
                lambda rows: rows.update({n: r._replace(expires_at=self._clock() + 400 * DAY) for n, r in rows.items()})
            )
        await super().disconnect()


@broken("HA-1")
class NativeTimer(InMemoryBackend):
    """Lets the server's timer end sessions, and ignores the given clock."""

    written_at: ClassVar[dict[SessionKey, float]] = {}

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        row = super().live(rows, name)
        return row if row is not None and time.time() < self.written_at.get(name, math.inf) else None

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.written_at[session.identity, session.session_id] = time.time() + self._lifetime(ttl)
