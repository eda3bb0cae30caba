"""The oracle: what a store should return according to the contract, kept in a plain dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from pytest_mcp_storage.oracle.limits import DEFAULT_TTL
from reference_backends import SessionData

SessionKey = tuple[str, str]
"""Identity and session id."""

ROUNDING = 1.0
"""Seconds by which a store may keep a session longer than its TTL."""


class Liveness(Enum):
    """Whether a session must exist, must not, or may: within the rounding of its expiry."""

    LIVE = "live"
    GONE = "gone"
    UNSURE = "unsure"


class StoredSession(NamedTuple):
    """A session, and the moment in seconds at which it expires."""

    session: SessionData
    expires_at: float


class Model:
    """The sessions that a store should hold. ``now``: the clock by which they expire, in seconds."""

    def __init__(self, now: Callable[[], float], default_ttl: float = DEFAULT_TTL) -> None:
        self.now = now
        self.default_ttl = default_ttl
        self.kept: dict[SessionKey, StoredSession] = {}

    def liveness(self, name: SessionKey) -> Liveness:
        """Say whether a read must return the session now."""
        kept = self.kept.get(name)
        if kept is None or self.now() >= kept.expires_at + ROUNDING:
            return Liveness.GONE
        return Liveness.LIVE if self.now() < kept.expires_at else Liveness.UNSURE

    def created(self, session: SessionData, ttl: float | None = None) -> None:
        """Record that the store accepted a new session."""
        name = session.identity, session.session_id
        self.kept[name] = StoredSession(SessionData.model_validate(session.__dict__), self._expiry(ttl))

    def updated(self, name: SessionKey, changes: Mapping[str, Any], ttl: float | None = None) -> None:
        """Record that the store accepted an update."""
        fields = {**self.kept[name].session.__dict__, **changes}
        self.kept[name] = StoredSession(SessionData.model_validate(fields), self._expiry(ttl))

    def removed(self, name: SessionKey) -> None:
        """Record that the store removed the session."""
        self.kept.pop(name, None)

    def forget_expired(self) -> None:
        """Remove what no read may return any more."""
        self.kept = {name: kept for name, kept in self.kept.items() if self.liveness(name) is not Liveness.GONE}

    def of(self, identity: str, *states: Liveness) -> dict[str, SessionData]:
        """Return the identity's sessions by id, those of these states."""
        return {
            session_id: kept.session
            for (owner, session_id), kept in self.kept.items()
            if owner == identity and self.liveness((owner, session_id)) in states
        }

    def id_is_taken(self, name: SessionKey) -> bool:
        """Say whether another identity may hold a session of this id, so that creating it may be refused (ID-4)."""
        identity, session_id = name
        return any(
            other == session_id and owner != identity and self.liveness((owner, other)) is not Liveness.GONE
            for owner, other in self.kept
        )

    def _expiry(self, ttl: float | None) -> float:
        return self.now() + (self.default_ttl if ttl is None else ttl)
