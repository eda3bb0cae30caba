"""The session of one user at one MCP server: found, created, changed and removed."""

from __future__ import annotations

import hashlib
import json
import re

from reference_backends.core.errors import DecryptionError, SessionExistsError, SessionNotFoundError, StorageError
from reference_backends.core.protocol import StorageBackend
from reference_backends.core.session import SessionData, SessionUpdate
from reference_backends.mcp.server_url import canonical, origin

_DERIVED = re.compile(r"mcp[0-9a-f]{40}")


def derived_id(identity: str, server_url: str) -> str:
    """Return the id of the session of this user at this server."""
    return f"mcp{digest(identity, server_url)}"


def digest(*parts: str) -> str:
    """Return 40 hexadecimal digits, made from the parts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


class ServerSession:
    """A session that is created by its first write. ``template`` has its identity, its id and its first fields.

    With ``derived``, the id was made from identity and server URL. Earlier releases used the URL as it was typed, so a
    session may exist under the id of another spelling. It is then moved to the id of the normal form.
    """

    def __init__(self, backend: StorageBackend, template: SessionData, ttl: float | None, *, derived: bool) -> None:
        self.backend = backend
        self.template = template
        self.ttl = ttl
        self._derived = derived
        self._searched = not derived

    def with_default_ttl(self, ttl: float) -> ServerSession:
        """Return the same session, with this ``ttl`` if it has none."""
        ttl = ttl if self.ttl is None else self.ttl
        return ServerSession(self.backend, self.template, ttl, derived=self._derived)

    async def read(self) -> SessionData | None:
        """Return the session, or ``None``. Raises :class:`StorageError` if it belongs to another server."""
        session = await self._get()
        if session is None and not self._searched:
            await self._adopt()
            session = await self._get()  # another process may have moved it at this moment
        if session is not None and origin(session.server_url) != origin(self.template.server_url):
            raise StorageError(
                f"session {session.session_id!r} holds tokens of {origin(session.server_url)}, "
                f"not of {origin(self.template.server_url)}; use another session_id for this server"
            )
        return session

    async def write(self, changes: SessionUpdate) -> None:
        """Update the session, or create it. If another process creates it at the same time, update it."""
        try:
            return await self.update(changes)
        except SessionNotFoundError:
            pass
        if await self._adopt():
            return await self.update(changes)
        try:
            return await self.backend.create_session(self.template.model_copy(update=dict(changes)), self.ttl)
        except SessionExistsError:
            pass
        return await self.update(changes)

    async def update(self, changes: SessionUpdate) -> None:
        """Change a session that exists. Raises :class:`SessionNotFoundError`."""
        await self.backend.update_session(self.template.identity, self.template.session_id, changes, self.ttl)

    async def remove(self) -> None:
        """Remove the session, and those that earlier releases stored under another spelling of the URL."""
        for session in await self._earlier() if self._derived else []:
            await self._remove(session.session_id)
        await self._remove(self.template.session_id)

    async def _get(self) -> SessionData | None:
        return await self.backend.get_session(self.template.identity, self.template.session_id)

    async def _remove(self, session_id: str) -> None:
        await self.backend.remove_session(self.template.identity, session_id)

    async def _adopt(self) -> bool:
        """Move the newest session of another spelling to this id; the first call only. Return whether one was found."""
        if self._searched:
            return False
        earlier = await self._earlier()
        self._searched = True
        if not earlier:
            return False
        newest = max(earlier, key=lambda session: (session.tokens is not None, session.created_at, session.session_id))
        try:
            moved = newest.model_copy(update={"session_id": self.template.session_id})
            await self.backend.create_session(moved, self.ttl)
        except SessionExistsError:
            pass  # another process has moved it
        for session in earlier:
            await self._remove(session.session_id)
        return True

    async def _earlier(self) -> list[SessionData]:
        """Return the sessions that earlier releases stored for this server under another spelling of its URL."""
        identity, url = self.template.identity, canonical(self.template.server_url)
        found = []
        for session_id in await self.backend.get_identity_mcp_sessions(identity):
            if session_id == self.template.session_id or not _DERIVED.fullmatch(session_id):
                continue
            try:
                session = await self.backend.get_session(identity, session_id)
            except DecryptionError:
                continue  # it cannot be read, so it cannot be moved either
            if session is None or canonical(session.server_url) != url:
                continue
            if session_id == derived_id(identity, session.server_url):
                found.append(session)
        return found
