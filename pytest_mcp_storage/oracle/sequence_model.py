"""What a store may hold after any sequence of operations, also after calls that ended without an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pytest_mcp_storage.oracle.operations import BY_NAME, Operation
from pytest_mcp_storage.oracle.store_model import ROUNDING, SessionKey, StoredSession
from pytest_mcp_storage.spec.comparison import difference
from reference_backends import SessionData


class Symptom(Enum):
    """What is wrong with an answer."""

    MISSING = "a live session is not returned"
    SHOWN = "a session is returned that is not live"
    DIFFERENT = "a live session is returned with other values"
    MIXED_UP = "a session of another identity is returned"


class Gone(Enum):
    """Why a session is not live. ``value``: the clause that a store breaks that returns it."""

    UNKNOWN = "LC-2"
    REMOVED = "LC-8"
    CLEARED = "LC-10"
    EXPIRED = "EX-2"


class Sealed(Enum):
    """How a secret is stored. ``PERHAPS``: a store may seal it (EN-11, MX-5), and need not."""

    YES = "sealed"
    NO = "in clear"
    PERHAPS = "sealed or in clear"


@dataclass
class Slot:
    """A session of a run. ``possible``: what the store may hold; one thing, unless a call ended without an answer."""

    name: SessionKey
    possible: list[StoredSession | None] = field(default_factory=lambda: [None])
    gone: Gone = Gone.UNKNOWN
    sealed: Sealed = Sealed.YES
    last: Operation = BY_NAME["create"]
    """The operation that last changed it."""
    before: Gone = Gone.UNKNOWN
    """Why it was gone when it was last created."""
    writer: int = 0
    """The handle that did."""
    forgotten: bool = False
    """Whether the store may hold anything: it was closed, and is not DURABLE."""


@dataclass
class Expected:
    """What a read may return of a slot now: one of ``sessions``, or nothing if ``absent``."""

    sessions: list[SessionData]
    absent: bool
    expired: bool

    @property
    def live(self) -> bool:
        """Whether it must be returned."""
        return not self.absent

    @property
    def ended(self) -> bool:
        """Whether it must not be returned."""
        return not self.sessions


class SequenceModel:
    """The slots of a run. ``now``: the clock by which sessions expire, ``default_ttl``: the store's; in seconds."""

    def __init__(self, now: Callable[[], float], default_ttl: float) -> None:
        self.now = now
        self.default_ttl = default_ttl
        self.slots: dict[int, Slot] = {}

    def expected(self, slot: Slot) -> Expected:
        """Return what a read may return of the slot now."""
        now, sessions, absent, expired = self.now(), [], False, False
        for kept in slot.possible:
            if kept is None or now >= kept.expires_at:
                absent = True
                expired = expired or kept is not None
            if kept is not None and now < kept.expires_at + ROUNDING:
                sessions.append(kept.session)
        return Expected(sessions, absent, expired)

    def why_gone(self, slot: Slot) -> Gone:
        """Return why the slot's session is not live."""
        return Gone.EXPIRED if self.expected(slot).expired else slot.gone

    def of(self, identity: str) -> list[Slot]:
        """Return the identity's slots."""
        return [slot for slot in self.slots.values() if slot.name[0] == identity]

    def wrong(self, slot: Slot, seen: SessionData | None) -> tuple[Symptom, str] | None:
        """Say what is wrong with a session that was read; ``None`` if nothing is."""
        expected = self.expected(slot)
        if slot.forgotten:
            return None
        if seen is None:
            return None if expected.absent else (Symptom.MISSING, "nothing")
        if expected.ended:
            return Symptom.SHOWN, "a session that is not live"
        found = [difference(seen, each) for each in expected.sessions]
        if not all(found):
            return None
        if getattr(seen, "identity", slot.name[0]) != slot.name[0]:
            return Symptom.MIXED_UP, "another identity's session"
        return Symptom.DIFFERENT, found[-1]

    # -- what the calls did ----------------------------------------------------------------------------------------

    def created(self, slot: Slot, session: SessionData, ttl: float | None) -> None:
        """Note a create that was accepted."""
        slot.possible = [self._kept(session, ttl)]

    def updated(self, slot: Slot, changes: dict[str, Any], ttl: float | None) -> None:
        """Note an update that was accepted."""
        slot.possible = self.after_update(slot, changes, ttl)

    def after_update(self, slot: Slot, changes: dict[str, Any], ttl: float | None) -> list[StoredSession | None]:
        """Return what the slot may hold after an update of what it may hold now."""
        sessions = self.expected(slot).sessions
        return [self._kept(each.model_copy(update=changes), ttl) for each in sessions]

    def uncertain(self, slot: Slot, after: list[StoredSession | None]) -> None:
        """Note a call that ended without an answer."""
        slot.possible = [*slot.possible, *after]

    def removed(self, slot: Slot, gone: Gone) -> None:
        """Note a removal. A call without an answer may still be carried out after it."""
        slot.possible = [None] if len(slot.possible) == 1 else [*slot.possible, None]
        slot.gone = gone

    def _kept(self, session: SessionData, ttl: float | None) -> StoredSession:
        return StoredSession(session.model_copy(deep=True), self.now() + (self.default_ttl if ttl is None else ttl))
