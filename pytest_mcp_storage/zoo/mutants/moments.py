"""Stores that go wrong at certain moments: an hour that occurs twice, a moment that the session names (RT, EX)."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData
from reference_backends.core.record import Record
from reference_backends.core.validation import check_session

HOUR = 3_600_000


class _WallClock(InMemoryBackend):
    """Base: ``created_at`` is stored as wall-clock time; in the hour after ``fold`` (ms) it is read an hour early."""

    fold = 0

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        folded = self.fold <= session.created_at < self.fold + HOUR
        return session.model_copy(update={"created_at": session.created_at - HOUR}) if folded else session


@broken("RT-7")
class FoldedHour(_WallClock):
    """Stores wall-clock time without a zone (Europe/Berlin): 25 October 2026, 01:00 UTC, reads as an hour earlier."""

    fold = 1_792_890_000_000


@broken("RT-7")
class FoldedHourOfNewYork(_WallClock):
    """The same for America/New_York: 1 November 2026, 06:00 UTC."""

    fold = 1_793_512_800_000


@broken("RT-7")
class RoundsTheLastMillisecond(InMemoryBackend):
    """Rounds a time to a part of a second by way of a decimal of days, as spreadsheets and Julian days do."""

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        days = float(f"{session.created_at / 86_400_000:.7f}")
        return session.model_copy(update={"created_at": round(days * 86_400_000)})


@broken("RT-7")
class LeapDay(InMemoryBackend):
    """Takes 1900, and so 2100, for a leap year: times after February 2100 are a day off."""

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        after = session.created_at >= datetime(2100, 3, 1).timestamp() * 1000 + 86_400_000
        day = round(timedelta(days=1).total_seconds() * 1000)
        return session.model_copy(update={"created_at": session.created_at - day}) if after else session


class _Cleaning(InMemoryBackend):
    """Base: cleans up what has expired ``at`` a moment."""

    def at(self, now: float) -> float:
        return now

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name, row in rows.items() if row.expires_at <= self.at(self._clock())]:
                del rows[name]

        await self.call(remove)


@broken("EX-5")
class CleanupRoundsUp(_Cleaning):
    """Cleans up ``WHERE expires_at <= ceil(now)``: a session with half a second left is removed."""

    def at(self, now: float) -> float:
        return math.ceil(now)


@broken("EX-5")
class CleanupByTheMinute(_Cleaning):
    """Cleans up by the end of the current minute."""

    def at(self, now: float) -> float:
        return math.ceil(now / 60) * 60


@broken("EX-1")
class EndsWithItsTokens(InMemoryBackend):
    """Takes a moment that the tokens name for the session's end, if it is the earlier one."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        at = (check_session(session).tokens or {}).get("expires_at")
        if isinstance(at, float) and self._clock() < at < self._expiry(ttl):
            ttl = at - self._clock()
        await super().create_session(session, ttl)


@broken("RT-1")
class HidesAnExpiredRegistration(InMemoryBackend):
    """Shows no client information whose secret has expired, so that the client registers again."""

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        at = (session.client_information or {}).get("client_secret_expires_at")
        ended = isinstance(at, int) and 0 < at <= self._clock()
        return session.model_copy(update={"client_information": None}) if ended else session
