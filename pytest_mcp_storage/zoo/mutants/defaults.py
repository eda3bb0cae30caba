"""Stores that take the default TTL from the wrong place, or misread ``ttl=None``."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate

LEFT_OUT: Any = object()


class _Told(InMemoryBackend):
    """Base: keeps a missing ttl apart from ``None``, which ``none`` converts."""

    def none(self) -> float:
        raise NotImplementedError

    def _expiry(self, ttl: Any) -> float:
        return self.none() if ttl is None else super()._expiry(None if ttl is LEFT_OUT else ttl)

    async def create_session(self, session: SessionData, ttl: float | None = LEFT_OUT) -> None:
        await super().create_session(session, ttl)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = LEFT_OUT
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)


@broken("EX-6", "EX-7")
class NoneForever(_Told):
    """Has a sentinel for the default, and takes ``None`` for no expiry, as Django's caches do."""

    def none(self) -> float:
        return math.inf


@broken("EX-6", "EX-7")
class NoneRaises(_Told):
    """Has the default in the signature, and compares ``None`` with 0."""

    def none(self) -> float:
        raise TypeError("'<=' not supported between instances of 'NoneType' and 'int'")


@broken("EX-6", "EX-7")
class DefaultOfTheClass(InMemoryBackend):
    """Keeps its options in the class: opening a handle changes them for all handles."""

    default: ClassVar[float]

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        type(self).default = self._default_ttl

    def _lifetime(self, ttl: float | None) -> float:
        return type(self).default if ttl is None else super()._lifetime(ttl)


@broken("EX-6", "EX-7")
class DefaultOfTheReader(InMemoryBackend):
    """Stores when the session was written, and lets the reader's own default TTL decide when it ends."""

    written: float = 1e12
    """Added to the moment of a write without a ttl, to mark it as no expiry."""

    def _lifetime(self, ttl: float | None) -> float:
        return self.written if ttl is None else super()._lifetime(ttl)

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        row = super().live(rows, name)
        if row is None or row.expires_at < self.written:
            return row
        return row if self._clock() < row.expires_at - self.written + self._default_ttl else None
