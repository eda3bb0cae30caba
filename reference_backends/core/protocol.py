"""The interface that every session store implements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from reference_backends.core.session import SessionData, SessionUpdate

Clock = Callable[[], float]
"""Seconds since the epoch. With an injected clock only it decides when a session expires."""

DEFAULT_TTL = 43200.0
"""Seconds that a session lives if no TTL is given: twelve hours (EX-6)."""


@runtime_checkable
class StorageBackend(Protocol):
    """A store of MCP sessions. ``ttl`` is in seconds; ``None`` means the backend's default TTL.

    Every method except ``generate_session_id`` may raise ``StorageUnavailableError``. A method raises
    ``InvalidSessionError`` if an identity, a session id or a ``ttl`` is not valid. Before ``init`` and after
    ``disconnect`` each method should raise ``StorageError`` (LC-12).

    Source: ``StorageBackend`` of ``@mcp-ts/sdk``. CONFORMANCE.md says what each call must do.
    """

    async def init(self) -> None:
        """Prepare the store. May be called again. Raise ``StorageSetupError`` if the store cannot be used."""

    def generate_session_id(self) -> str:
        """Return a new session id: a letter, then letters and digits, unguessable (LC-13)."""
        ...

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        """Store a new session. Raise ``SessionExistsError`` if it exists and has not expired."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        """Change the given fields and restart the TTL. Raise ``SessionNotFoundError``, ``InvalidSessionError``."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        """Return the live session, or ``None``. Raise ``DecryptionError`` if its secrets cannot be read."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        """Return the identity's live sessions, in any order. Raise ``DecryptionError``."""
        ...

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        """Return the ids of the identity's live sessions, in any order."""
        ...

    async def remove_session(self, identity: str, session_id: str) -> None:
        """Remove the session. Do nothing if there is none."""

    async def get_all_session_ids(self) -> list[str]:
        """Return the id of every live session of every identity, in any order."""
        ...

    async def clear_all(self) -> None:
        """Remove every session of every identity."""

    async def cleanup_expired_sessions(self) -> None:
        """Remove expired sessions from the store. Reads never return them, whether or not this has run."""

    async def disconnect(self) -> None:
        """Release the store's resources. May be called again; ``init`` opens the store again."""
