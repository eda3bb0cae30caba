"""Stores that lose count of time."""

from __future__ import annotations

import math
import time
from typing import Any, ClassVar

from pytest_mcp_storage.zoo.shelf import Name, Row, Rows, ShelfBackend
from pytest_mcp_storage.zoo.specimens import broken
from reference_backends import SessionData, SessionExistsError, SessionUpdate
from reference_backends.arguments import check_names, check_session

DAY = 86_400.0


class _Bounded(ShelfBackend):
    """Base: ``bounded`` is done to every TTL, in seconds, after it was checked."""

    def _lifetime(self, ttl: float | None) -> float:
        return self.bounded(super()._lifetime(ttl))

    def bounded(self, seconds: float) -> float:
        return seconds


class _Everlasting(ShelfBackend):
    """Base: reads do not ask for the time."""

    def row(self, rows: Rows, name: Name) -> Row | None:
        return rows.get(name)


@broken("EX-1")
class SecondsForMilliseconds(_Bounded):
    """Passes seconds to an API that counts in milliseconds."""

    def bounded(self, seconds: float) -> float:
        return seconds / 1000


@broken("EX-1")
class LocalTimeZone(_Bounded):
    """Compares a naive local time with UTC: every session ends an hour early."""

    def bounded(self, seconds: float) -> float:
        return seconds - 3600


@broken("EX-1")
class EndsAHalfEarly(_Bounded):
    """Ends sessions early by a safety margin that suits long TTLs."""

    def bounded(self, seconds: float) -> float:
        return seconds / 2


@broken("EX-1")
class EndsWithTheFirstRead(ShelfBackend):
    """Deletes what it reads near the end of its life, by an eviction rule with the comparison turned round."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = await super().get_session(identity, session_id)

        def evict(rows: Rows) -> None:
            row = rows.get((identity, session_id))
            if row and row.expires_at - self._clock() < 3600:
                del rows[identity, session_id]

        await self.call(evict)
        return found


@broken("EX-2")
class IgnoresTtl(_Bounded):
    """Takes the argument for the sake of the interface, as upstream's memory and file stores."""

    def bounded(self, seconds: float) -> float:
        return 1000 * 365 * DAY


@broken("EX-2")
class ServesUntilCleanup(ShelfBackend):
    """Leaves expiry to the cleanup job, as upstream's SQLite and Supabase stores."""

    def live(self, rows: Rows, name: Name) -> Row | None:
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
class AllIdsForgetExpiry(ShelfBackend):
    """Filters by expiry wherever a user looks, and not where the administrator does."""

    async def get_all_session_ids(self) -> list[str]:
        return await self.call(lambda rows: [name[1] for name in rows])


@broken("EX-2")
class RoundsUpToMinutes(_Bounded):
    """Rounds TTLs up to minutes, the unit of its cache."""

    def bounded(self, seconds: float) -> float:
        return math.ceil(seconds / 60) * 60 + 60


@broken("EX-2")
class GraceOfFiveSeconds(_Bounded):
    """Grants a grace period, so that requests under way may finish."""

    def bounded(self, seconds: float) -> float:
        return seconds + 5


@broken("EX-2")
class ReadingRenews(ShelfBackend):
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

    def live(self, rows: Rows, name: Name) -> Row | None:
        row = rows.get(name)
        return row if row is not None and self._clock() < row.expires_at + 10 else None


@broken("EX-3")
class UpdateRevives(ShelfBackend):
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
class UpdateOfTheExpiredSucceeds(ShelfBackend):
    """Updates the dead row and reports success; no read shows it, and the new tokens are lost."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if await self.call(lambda rows: (identity, session_id) in rows and not self.live(rows, (identity, session_id))):
            return
        await super().update_session(identity, session_id, changes, ttl)


@broken("EX-4")
class DeadRowsBlock(ShelfBackend):
    """Relies on the primary key, which a dead row still holds."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if await self.call(lambda rows: (session.identity, session.session_id) in rows):
            raise SessionExistsError("that session exists already")
        await super().create_session(session, ttl)


@broken("EX-4")
class OldFieldsShine(ShelfBackend):
    """Creates over a dead row by an update of the fields that the new session has."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        old = await self.call(lambda rows: rows.get((session.identity, session.session_id)))
        await super().create_session(session, ttl)
        if old is not None:
            name = (session.identity, session.session_id)

            def keep(rows: Rows) -> None:
                rows[name] = rows[name]._replace(record={**old.record, **rows[name].record})

            await self.call(keep)


@broken("EX-4")
class NewSessionOldExpiry(ShelfBackend):
    """Creates over a dead row and leaves its expiry: the new session is dead at once."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name = (session.identity, session.session_id)
        old = await self.call(lambda rows: rows.get(name))
        await super().create_session(session, ttl)
        if old is not None:
            await self.call(lambda rows: rows.update({name: rows[name]._replace(expires_at=old.expires_at)}))


@broken("EX-4")
class DeadIdsOfOthersBlock(ShelfBackend):
    """Has the id unique over all identities, and does not clear a dead row that another identity left."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if await self.call(lambda rows: any(n[1] == session.session_id and n[0] != session.identity for n in rows)):
            raise SessionExistsError("that id is taken")
        await super().create_session(session, ttl)


@broken("EX-5")
class CleanupDoesNothing(ShelfBackend):
    """Leaves the cleanup for later, with a TODO."""

    async def cleanup_expired_sessions(self) -> None:
        await self.call(lambda rows: None)


@broken("EX-5")
class CleanupTakesTheLiving(ShelfBackend):
    """Cleans up what will expire within the week: the comparison has a sign wrong."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name, row in rows.items() if row.expires_at <= self._clock() + 7 * DAY]:
                del rows[name]

        await self.call(remove)


@broken("EX-5")
class CleanupTakesOne(ShelfBackend):
    """Deletes while it iterates, and stops after the first."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            dead = [name for name in rows if not self.live(rows, name)]
            for name in dead[:1]:
                del rows[name]

        await self.call(remove)


@broken("EX-6")
class DefaultOfOneHour(ShelfBackend):
    """Takes the default TTL of the author's last project."""

    def _lifetime(self, ttl: float | None) -> float:
        return min(self._default_ttl, 3600.0) if ttl is None else super()._lifetime(ttl)


@broken("EX-6")
class NoTtlMeansForever(ShelfBackend):
    """Reads ``ttl=None`` as no expiry at all."""

    def _lifetime(self, ttl: float | None) -> float:
        return 1000 * 365 * DAY if ttl is None else super()._lifetime(ttl)


@broken("EX-6")
class IgnoresItsDefault(ShelfBackend):
    """Has the default TTL as a constant, whatever it was opened with."""

    def _lifetime(self, ttl: float | None) -> float:
        return 43_200.0 if ttl is None else super()._lifetime(ttl)


@broken("EX-7")
class UpdateKeepsTheExpiry(ShelfBackend):
    """Changes fields and leaves the expiry: a session in use ends in the middle of it."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        old = await self.call(lambda rows: self.live(rows, name))
        await super().update_session(identity, session_id, changes, ttl)
        if old is not None:
            await self.call(lambda rows: rows.update({name: rows[name]._replace(expires_at=old.expires_at)}))


@broken("EX-7")
class UpdateDropsTheExpiry(ShelfBackend):
    """Writes null for the expiry where no ttl was given, as upstream's SQLite store: immortal."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, 100 * 365 * DAY if ttl is None else ttl)


@broken("EX-7")
class UpdateAddsToTheExpiry(ShelfBackend):
    """Extends the old expiry by the ttl, instead of counting from now."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        old = await self.call(lambda rows: self.live(rows, name))
        await super().update_session(identity, session_id, changes, ttl)
        if old is not None and ttl is not None:
            later = old.expires_at + ttl
            await self.call(lambda rows: rows.update({name: rows[name]._replace(expires_at=later)}))


@broken("EX-7")
class EmptyUpdateRenewsNothing(ShelfBackend):
    """Returns early where no field is named: nothing to do."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if not changes and ttl is None and await self.get_session(identity, session_id) is not None:
            return
        await super().update_session(identity, session_id, changes, ttl)


class _Lenient(ShelfBackend):
    """Base: ``read`` makes a TTL of whatever it is given."""

    def _lifetime(self, ttl: Any) -> float:
        try:
            return super()._lifetime(ttl)
        except ValueError:
            return self.read(ttl)

    def read(self, ttl: Any) -> float:
        return super()._lifetime(ttl)


@broken("EX-8")
class ZeroMeansForever(_Lenient):
    """Writes ``if ttl:`` and takes 0 for no expiry, as upstream's SQLite store."""

    def read(self, ttl: Any) -> float:
        return super().read(ttl or None)


@broken("EX-8")
class NegativeIsStored(_Lenient):
    """Stores a session that is dead from the start."""

    def read(self, ttl: Any) -> float:
        return float(ttl) if isinstance(ttl, (int, float)) and -10 <= ttl < 0 else super().read(ttl)


@broken("EX-8")
class TrueIsOneSecond(_Lenient):
    """Checks ``isinstance(ttl, int)``, which a bool is."""

    def read(self, ttl: Any) -> float:
        return super().read(int(ttl) if isinstance(ttl, bool) else ttl)


@broken("EX-8")
class ReadsText(_Lenient):
    """Calls ``float(ttl)``, and text from a query string slips through."""

    def read(self, ttl: Any) -> float:
        return super().read(float(ttl) if isinstance(ttl, str) else ttl)


@broken("EX-8")
class CapsTheHuge(_Lenient):
    """Cuts a huge TTL to the longest it can hold, without a word."""

    def read(self, ttl: Any) -> float:
        huge = isinstance(ttl, (int, float)) and not isinstance(ttl, bool) and ttl > 3_155_760_000
        return 3_155_760_000.0 if huge else super().read(ttl)


@broken("EX-8")
class RefusesWithOverflow(_Lenient):
    """Lets the error of its date arithmetic through."""

    def read(self, ttl: Any) -> float:
        if isinstance(ttl, float) and not math.isfinite(ttl):
            raise OverflowError("cannot convert float infinity to integer")
        return super().read(ttl)


@broken("EX-8")
class StoresBeforeItRefuses(ShelfBackend):
    """Stores the session, then refuses the ttl, and leaves the row for the default time."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        checked = check_session(session)
        row = Row(self.kept(checked), self._clock() + self._default_ttl)
        await self.call(lambda rows: rows.setdefault((checked.identity, checked.session_id), row))
        expiry = self._expiry(ttl)
        await self.call(lambda rows: rows.pop((checked.identity, checked.session_id)))
        await super().create_session(session, expiry - self._clock())


@broken("EX-9")
class ThirtyTwoBitMilliseconds(_Bounded):
    """Keeps the TTL as milliseconds in 32 bits: 49 days are the most it knows."""

    def bounded(self, seconds: float) -> float:
        return seconds % (2**32 / 1000)


@broken("EX-9")
class CapsAtAMonth(_Bounded):
    """Caps TTLs at thirty days, the limit of memcached."""

    def bounded(self, seconds: float) -> float:
        return min(seconds, 30 * DAY)


@broken("EX-9")
class CutsFractions(_Bounded):
    """Calls ``int(ttl)`` for a column of whole seconds: 1.9 s become 1."""

    def bounded(self, seconds: float) -> float:
        return float(int(seconds)) or seconds


@broken("EX-10")
class OneExpiryForTheIdentity(ShelfBackend):
    """Sets the expiry on the identity's key, which all of its sessions share."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)

        def spread(rows: Rows) -> None:
            for name in [name for name in rows if name[0] == session.identity and self.live(rows, name)]:
                rows[name] = rows[name]._replace(expires_at=rows[session.identity, session.session_id].expires_at)

        await self.call(spread)


@broken("EX-10")
class ExpiryTakesTheIdentityAlong(ShelfBackend):
    """Drops the identity's index when one of its sessions has expired."""

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        dead = any(name[0] == identity and not self.live(rows, name) for name in rows)
        return {} if dead else super().of(rows, identity)


@broken("EX-11")
class CountsFromTheOpening(ShelfBackend):
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
class ForgetsExpiryOnDisk(ShelfBackend):
    """Holds expiries in the process's memory: after a restart nothing expires any more."""

    async def disconnect(self) -> None:
        if self._open:
            await self.call(
                lambda rows: rows.update({n: r._replace(expires_at=self._clock() + 400 * DAY) for n, r in rows.items()})
            )
        await super().disconnect()


@broken("HA-1")
class NativeTimer(ShelfBackend):
    """Lets the server's own timer end sessions, whatever the clock says that it was given."""

    born: ClassVar[dict[Name, float]] = {}

    def live(self, rows: Rows, name: Name) -> Row | None:
        row = super().live(rows, name)
        return row if row is not None and time.time() < self.born.get(name, math.inf) else None

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.born[session.identity, session.session_id] = time.time() + self._lifetime(ttl)
