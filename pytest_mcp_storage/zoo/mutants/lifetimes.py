"""Stores that count a session's lifetime wrongly."""

from __future__ import annotations

import math
from typing import Any

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate
from reference_backends.core.validation import check_names, check_session

DAY = 86_400.0


class Bounded(InMemoryBackend):
    """Base: applies ``bounded`` to every checked TTL, in seconds."""

    def _lifetime(self, ttl: float | None) -> float:
        return self.bounded(super()._lifetime(ttl))

    def bounded(self, seconds: float) -> float:
        return seconds


@broken("EX-1")
class SecondsForMilliseconds(Bounded):
    """Passes seconds to an API that counts in milliseconds."""

    def bounded(self, seconds: float) -> float:
        return seconds / 1000


@broken("EX-1")
class LocalTimeZone(Bounded):
    """Compares a naive local time with UTC: every session ends an hour early."""

    def bounded(self, seconds: float) -> float:
        return seconds - 3600


@broken("EX-1")
class EndsAHalfEarly(Bounded):
    """Ends sessions early by a safety margin that suits long TTLs."""

    def bounded(self, seconds: float) -> float:
        return seconds / 2


@broken("EX-1")
class EndsWithTheFirstRead(InMemoryBackend):
    """Deletes what it reads near the end of its life, by an eviction rule with the comparison reversed."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = await super().get_session(identity, session_id)

        def evict(rows: Rows) -> None:
            row = rows.get((identity, session_id))
            if row and row.expires_at - self._clock() < 3600:
                del rows[identity, session_id]

        await self.call(evict)
        return found


@broken("EX-6")
class DefaultOfOneHour(InMemoryBackend):
    """Uses another default TTL, of one hour."""

    def _lifetime(self, ttl: float | None) -> float:
        return min(self._default_ttl, 3600.0) if ttl is None else super()._lifetime(ttl)


@broken("EX-6")
class NoTtlMeansForever(InMemoryBackend):
    """Reads ``ttl=None`` as no expiry at all."""

    def _lifetime(self, ttl: float | None) -> float:
        return 1000 * 365 * DAY if ttl is None else super()._lifetime(ttl)


@broken("EX-6")
class IgnoresItsDefault(InMemoryBackend):
    """Has the default TTL as a constant, and ignores the option."""

    def _lifetime(self, ttl: float | None) -> float:
        return 43_200.0 if ttl is None else super()._lifetime(ttl)


@broken("EX-7")
class UpdateKeepsTheExpiry(InMemoryBackend):
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
class UpdateDropsTheExpiry(InMemoryBackend):
    """Writes null for the expiry if no ttl was given, as upstream's SQLite store: immortal."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, 100 * 365 * DAY if ttl is None else ttl)


@broken("EX-7")
class UpdateAddsToTheExpiry(InMemoryBackend):
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
class EmptyUpdateRenewsNothing(InMemoryBackend):
    """Returns early if no field is named: nothing to do."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if not changes and ttl is None and await self.get_session(identity, session_id) is not None:
            return
        await super().update_session(identity, session_id, changes, ttl)


class _Lenient(InMemoryBackend):
    """Base: ``read`` converts any argument to a TTL."""

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
    """Cuts a huge TTL silently to the longest it can hold."""

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
class StoresBeforeItRefuses(InMemoryBackend):
    """Stores the session, then refuses the ttl, and leaves the row for the default time."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        checked = check_session(session)
        row = Row(self.kept(checked), self._clock() + self._default_ttl)
        await self.call(lambda rows: rows.setdefault((checked.identity, checked.session_id), row))
        expiry = self._expiry(ttl)
        await self.call(lambda rows: rows.pop((checked.identity, checked.session_id)))
        await super().create_session(session, expiry - self._clock())


@broken("EX-9")
class ThirtyTwoBitMilliseconds(Bounded):
    """Keeps the TTL as milliseconds in 32 bits: 49 days at most."""

    def bounded(self, seconds: float) -> float:
        return seconds % (2**32 / 1000)


@broken("EX-9")
class CapsAtAMonth(Bounded):
    """Caps TTLs at thirty days, the limit of memcached."""

    def bounded(self, seconds: float) -> float:
        return min(seconds, 30 * DAY)


@broken("EX-9")
class CutsFractions(Bounded):
    """Calls ``int(ttl)`` for a column of whole seconds: 1.9 s become 1."""

    def bounded(self, seconds: float) -> float:
        return float(int(seconds)) or seconds


@broken("EX-1")
class EndsWithTheWholeSecond(InMemoryBackend):
    """Keeps the moment of expiry in whole seconds, by ``int``: up to a second is lost."""

    def _expiry(self, ttl: float | None) -> float:
        return float(math.floor(super()._expiry(ttl)))


@broken("EX-6")
class DefaultOfTwelveHoursAtMost(InMemoryBackend):
    """Takes a shorter default TTL and no longer one."""

    def _lifetime(self, ttl: float | None) -> float:
        return min(self._default_ttl, 43_200.0) if ttl is None else super()._lifetime(ttl)


@broken("EX-7")
class RenewsForTwelveHours(InMemoryBackend):
    """Creates with the default TTL that it was opened with, and updates with the constant."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, 43_200.0 if ttl is None else ttl)


@broken("EX-8")
class RenewalTakesAnyTtl(InMemoryBackend):
    """Checks the ttl only if there is a field to write."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        check_names(identity, session_id)
        if not changes and await self.get_session(identity, session_id) is not None:
            ttl = ttl if isinstance(ttl, float) and 0 < ttl < DAY else None
        await super().update_session(identity, session_id, changes, ttl)


@broken("EX-9")
class RenewsForAMonthAtMost(InMemoryBackend):
    """Caps what a renewal may ask for, and not what a create may."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        self._expiry(ttl)
        await super().update_session(identity, session_id, changes, None if ttl is None else min(ttl, 30 * DAY))


@broken("EX-9")
class NoLessThanASecond(Bounded):
    """Cuts the TTL to whole seconds, and takes the 0 that comes of it for no TTL at all."""

    def bounded(self, seconds: float) -> float:
        return float(math.ceil(seconds)) if seconds >= 1 else 43_200.0


@broken("EX-9")
class NoLessThanAMillisecond(Bounded):
    """Gives the server whole milliseconds, and it refuses 0: "invalid expire time"."""

    def bounded(self, seconds: float) -> float:
        if not int(seconds * 1000):
            raise RuntimeError("invalid expire time in 'set' command")
        return seconds


class _Sliding(InMemoryBackend):
    """Base: remembers each session's own TTL, so that a read can begin it anew."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.lifetimes: dict[SessionKey, float] = {}

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.lifetimes[session.identity, session.session_id] = self._lifetime(ttl)

    async def slide(self, identity: str, session_id: str) -> None:
        name = identity, session_id

        def later(rows: Rows) -> None:
            if row := self.live(rows, name):
                rows[name] = row._replace(expires_at=self._clock() + self.lifetimes.get(name, self._default_ttl))

        await self.call(later)


@broken("EX-2")
class GetBeginsTheTtlAnew(_Sliding):
    """Keeps sessions in a cache with sliding expiry (``GETEX``): one that is polled never ends."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = await super().get_session(identity, session_id)
        await self.slide(identity, session_id)
        return found


@broken("EX-2")
class ListingBeginsTheTtlAnew(_Sliding):
    """The same for the listing, which a dashboard polls."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        found = await super().get_identity_mcp_sessions(identity)
        for session_id in found:
            await self.slide(identity, session_id)
        return found


@broken("EX-11")
class BeginsAnewWhenOpened(_Sliding):
    """Keeps the TTL on the disk and the moment in memory, and counts from the opening."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.lifetimes = vars(store).setdefault("lifetimes", {})
        self.counted = False

    async def init(self) -> None:
        await super().init()
        for name in [] if self.counted else list(self.lifetimes):
            await self.slide(*name)
        self.counted = True
