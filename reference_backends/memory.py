"""Sessions in the memory of this process. They are lost when it ends."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import NamedTuple, Unpack

from reference_backends.core.base import BackendOptions, BaseBackend, exists_already, not_live
from reference_backends.core.record import Record
from reference_backends.core.session import SessionData, SessionUpdate
from reference_backends.core.validation import check_changes, check_identity, check_names, check_session


class Entry(NamedTuple):
    """A record, and the moment in seconds since the epoch when it expires."""

    record: Record
    expires_at: float


class MemoryStorageBackend(BaseBackend):
    """A :class:`StorageBackend` in memory, for tests and single processes. It is also the fallback of ``storage``.

    It takes the keyword arguments of :class:`BaseBackend`. Two identities may use the same session id for different
    sessions (ID-4). ``disconnect`` removes all sessions. A child of a fork cannot use the store of its parent: ``init``
    in the child makes it empty.
    """

    label = "memory"

    def __init__(self, **options: Unpack[BackendOptions]) -> None:
        super().__init__(**options)
        self._entries: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
        self._lock = threading.Lock()

    async def init(self) -> None:
        if self._has_forked:  # a thread of the parent may hold the lock
            self._entries, self._lock = defaultdict(dict), threading.Lock()
        self._opened()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        record = self._codec.record(check_session(session))
        identity, session_id = session.identity, session.session_id
        entry = Entry(record, self._expiry(ttl))
        self._require_open()
        with self._lock:
            if self._live(identity, session_id) is not None:
                raise exists_already(session_id)
            self._entries[identity][session_id] = entry

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = check_names(identity, session_id)
        named = check_changes(changes)
        expires_at = self._expiry(ttl)
        self._require_open()
        with self._lock:
            entry = self._live(identity, session_id)
            if entry is None:
                raise not_live(session_id)
            self._entries[identity][session_id] = Entry(self._codec.updated(entry.record, named), expires_at)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        identity, session_id = check_names(identity, session_id)
        self._require_open()
        with self._lock:
            entry = self._live(identity, session_id)
        return None if entry is None else self._codec.validated_session(entry.record)

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [self._codec.validated_session(entry.record) for entry in self._of(identity).values()]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return list(self._of(identity))

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = check_names(identity, session_id)
        self._require_open()
        with self._lock:
            sessions = self._entries.get(identity, {})
            sessions.pop(session_id, None)
            if not sessions:
                self._entries.pop(identity, None)

    async def get_all_session_ids(self) -> list[str]:
        self._require_open()
        now = self._clock()
        with self._lock:
            return [
                session_id
                for sessions in self._entries.values()
                for session_id, entry in sessions.items()
                if now < entry.expires_at
            ]

    async def clear_all(self) -> None:
        self._require_open()
        with self._lock:
            self._entries.clear()

    async def cleanup_expired_sessions(self) -> None:
        self._require_open()
        now = self._clock()
        with self._lock:
            for identity, sessions in list(self._entries.items()):
                for session_id in [key for key, entry in sessions.items() if now >= entry.expires_at]:
                    del sessions[session_id]
                if not sessions:
                    del self._entries[identity]

    async def disconnect(self) -> None:
        self._closed()
        if not self._has_forked:
            with self._lock:
                self._entries.clear()

    def _live(self, identity: str, session_id: str) -> Entry | None:
        entry = self._entries.get(identity, {}).get(session_id)
        return entry if entry is not None and self._clock() < entry.expires_at else None

    def _of(self, identity: str) -> dict[str, Entry]:
        """Return the identity's live entries by session id."""
        identity = check_identity(identity)
        self._require_open()
        now = self._clock()
        with self._lock:
            return {
                session_id: entry
                for session_id, entry in self._entries.get(identity, {}).items()
                if now < entry.expires_at
            }
