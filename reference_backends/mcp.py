"""For the official MCP SDK: its ``TokenStorage`` on any backend.

::

    storage = SessionTokenStorage(backend, identity="alice", server_url="https://mcp.example/mcp")
    provider = OAuthClientProvider("https://mcp.example/mcp", metadata, storage, open_browser, wait_for_code)

Source: ``mcp.client.auth.TokenStorage`` of the package ``mcp``.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from typing import Any, TypeVar

from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import BaseModel, ValidationError

from reference_backends.arguments import LONGEST_TTL
from reference_backends.errors import SessionExistsError, SessionNotFoundError, StorageError
from reference_backends.protocol import Clock, StorageBackend
from reference_backends.session import SessionData, SessionUpdate, TransportType

Model = TypeVar("Model", bound=BaseModel)

EXPIRES_AT = "expires_at"
"""Kept beside the tokens: seconds since the epoch. ``expires_in`` alone says nothing once it has been stored."""


class SessionTokenStorage:
    """Keeps the tokens and the client information of one user at one MCP server in a session of ``backend``.

    The backend is one that is open. The session is made by the first write. Its id is made of ``identity`` and
    ``server_url`` unless it is given, so that every process finds the same one; give an unguessable one where other
    users may create sessions of their own choice in a store that shares its ids. ``ttl``: seconds that the session
    lives after each write, ``None`` for the backend's default; a refresh token that shall outlive it needs more.

    An access token that has expired is not handed out: with a refresh token the SDK refreshes it, which it does not
    do with an old token that it takes for a valid one.

    The methods raise the backend's errors, and :class:`StorageError` where what is stored is of another kind.
    """

    def __init__(
        self,
        backend: StorageBackend,
        identity: str,
        server_url: str,
        *,
        session_id: str | None = None,
        transport_type: TransportType = "streamable_http",
        callback_url: str = "",
        ttl: float | None = None,
        clock: Clock = time.time,
    ) -> None:
        self._backend = backend
        self._ttl = ttl
        self._clock = clock
        self._session = SessionData(
            session_id=_session_id(identity, server_url) if session_id is None else session_id,
            identity=identity,
            server_url=server_url,
            transport_type=transport_type,
            callback_url=callback_url,
            created_at=int(clock() * 1000),
        )

    @property
    def session_id(self) -> str:
        """The id of the session that is kept."""
        return self._session.session_id

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens, ``expires_in`` counted from now; ``None`` where there are none, or none that still serves."""
        session = await self._stored()
        if session is None or session.tokens is None:
            return None
        tokens = _model(OAuthToken, session.tokens, "tokens")
        expires_at = session.tokens.get(EXPIRES_AT)
        if not isinstance(expires_at, (int, float)):
            return tokens
        left = math.floor(expires_at - self._clock())
        if left > 0:
            return tokens.model_copy(update={"expires_in": left})
        if tokens.refresh_token is None:
            return None
        return tokens.model_copy(update={"access_token": "", "expires_in": 0})

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep the tokens; they replace the old ones."""
        kept = tokens.model_dump(mode="json", exclude_none=True)
        if tokens.expires_in is not None:
            # Some servers mean "never" by a number that no store keeps.
            kept["expires_in"] = lasts = max(-LONGEST_TTL, min(tokens.expires_in, LONGEST_TTL))
            kept[EXPIRES_AT] = self._clock() + lasts
        await self._keep({"tokens": kept})

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """The client information, or ``None``."""
        session = await self._stored()
        if session is None or session.client_information is None:
            return None
        return _model(OAuthClientInformationFull, session.client_information, "client information")

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep the client information; it replaces the old one."""
        kept = client_info.model_dump(mode="json", exclude_none=True)
        await self._keep({"client_information": kept, "client_id": client_info.client_id})

    async def forget(self) -> None:
        """Remove the session: the user signs in anew."""
        await self._backend.remove_session(self._session.identity, self.session_id)

    async def _stored(self) -> SessionData | None:
        return await self._backend.get_session(self._session.identity, self.session_id)

    async def _keep(self, changes: SessionUpdate) -> None:
        """Update the session, or create it; where another process does so at this moment, update after all."""
        try:
            return await self._update(changes)
        except SessionNotFoundError:
            pass
        try:
            return await self._backend.create_session(self._session.model_copy(update=dict(changes)), self._ttl)
        except SessionExistsError:
            pass
        return await self._update(changes)

    async def _update(self, changes: SessionUpdate) -> None:
        await self._backend.update_session(self._session.identity, self.session_id, changes, self._ttl)


def _session_id(identity: str, server_url: str) -> str:
    return "mcp" + hashlib.sha256(json.dumps([identity, server_url]).encode()).hexdigest()[:40]


def _model(model: type[Model], stored: dict[str, Any], what: str) -> Model:
    try:
        return model.model_validate(stored)
    except ValidationError:
        pass  # it shows what was stored
    raise StorageError(f"the stored {what} are not of the form that the mcp package expects; sign in anew")
