"""The interface that every session store implements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from reference_backends.core.session import SessionData, SessionUpdate

Clock = Callable[[], float]
"""Seconds since the epoch. With an injected clock only it decides when a session expires."""

DEFAULT_TTL = 43200.0
"""Twelve hours, in seconds: how long a session lives unless told otherwise (EX-6)."""


@runtime_checkable
class StorageBackend(Protocol):
    """A store of MCP sessions. ``ttl`` is in seconds; ``None`` means the backend's default TTL.

    Every method but ``generate_session_id`` may raise ``StorageUnavailableError``; those that take an identity, a
    session id or a ``ttl`` raise ``InvalidSessionError`` for one that is not valid. Before ``init`` and after
    ``disconnect`` each should raise ``StorageError`` (LC-12).

    Source: ``StorageBackend`` of ``@mcp-ts/sdk``; what each call promises is in CONFORMANCE.md.
    """

    async def init(self) -> None:
        """Prepare the store. May be called again. Raises ``StorageSetupError`` where it is not usable."""

    def generate_session_id(self) -> str:
        """A new id: a letter, then letters and digits, unguessable (LC-13)."""
        ...

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        """Keep a new session. Raises ``SessionExistsError`` where it is alive already."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        """Change the named fields and renew the TTL. Raises ``SessionNotFoundError``, ``InvalidSessionError``."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        """The live session, or ``None``. Raises ``DecryptionError`` where its secrets cannot be read."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        """The identity's live sessions, in no promised order. Raises ``DecryptionError``."""
        ...

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        """The ids of the identity's live sessions, in no promised order."""
        ...

    async def remove_session(self, identity: str, session_id: str) -> None:
        """Forget the session. Harmless where there is none."""

    async def get_all_session_ids(self) -> list[str]:
        """The id of every live session of every identity, in no promised order."""
        ...

    async def clear_all(self) -> None:
        """Forget every session of every identity."""

    async def cleanup_expired_sessions(self) -> None:
        """Remove expired sessions from the store. Reads never show them, whether or not this has run."""

    async def disconnect(self) -> None:
        """Let go of the store. May be called again; ``init`` opens it once more."""
