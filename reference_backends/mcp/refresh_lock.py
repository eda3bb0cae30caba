"""A lock across processes and machines: the process that creates a short-lived session holds it."""

from __future__ import annotations

import logging
import time

import anyio

from reference_backends.core.errors import SessionExistsError, StorageError
from reference_backends.core.session import SessionData
from reference_backends.mcp.server_session import ServerSession, digest

logger = logging.getLogger("reference_backends")

LOCK_SECONDS = 60.0
"""Seconds after which the lock of a crashed process expires."""

LAST_RELEASE = LOCK_SECONDS - 10
"""Seconds after which a lock is not removed any more but expires: the removal might hit another process's lock."""

RELEASE_SECONDS = 5.0


class RefreshLock:
    """The right to refresh the tokens of one session.

    Of several calls of ``create_session`` for one id, one succeeds, in every store that keeps the contract (CO-1).
    The lock is a session with the same identity and server URL, so that row security applies to it as well. It ends
    when it is removed, or after :data:`LOCK_SECONDS`.
    """

    def __init__(self, session: ServerSession) -> None:
        template = session.template
        self._backend = session.backend
        self._lock = SessionData(
            session_id=f"mcplock{digest(template.identity, template.session_id)}",
            identity=template.identity,
            server_url=template.server_url,
            transport_type=template.transport_type,
            callback_url=template.callback_url,
            created_at=template.created_at,
            active=False,
        )
        self._since = 0.0

    async def acquire(self) -> bool:
        """Take the lock if it is free. Return whether it was."""
        self._since = time.monotonic()
        try:
            await self._backend.create_session(self._lock, LOCK_SECONDS)
        except SessionExistsError:
            return False
        return True

    async def release(self) -> None:
        """Release the lock, also while the task is cancelled. If the store fails, the lock expires by itself."""
        if time.monotonic() - self._since > LAST_RELEASE:
            return
        with anyio.move_on_after(RELEASE_SECONDS, shield=True):
            try:
                await self._backend.remove_session(self._lock.identity, self._lock.session_id)
            except StorageError as error:
                logger.warning("[mcp-storage] a refresh lock was not removed, it expires by itself: %s", error)
