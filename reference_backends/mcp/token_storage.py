"""The SDK's ``TokenStorage`` on any backend.

Source: ``mcp.client.auth.TokenStorage`` of the package ``mcp``.
"""

from __future__ import annotations

import logging
import time

from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from reference_backends.core.protocol import Clock, StorageBackend
from reference_backends.core.session import SessionData, TransportType
from reference_backends.mcp.server_session import ServerSession, derived_id
from reference_backends.mcp.server_url import canonical, origin
from reference_backends.mcp.stored import (
    accepts_redirect,
    seconds_left,
    secret_has_expired,
    stored_client,
    stored_tokens,
    tokens_to_store,
)

logger = logging.getLogger("reference_backends")


class SessionTokenStorage:
    """Stores the tokens and the client information of one user at one MCP server in a session of ``backend``.

    The backend must be open. The first write creates the session. Unless ``session_id`` is given, the id is made from
    ``identity`` and the normal form of ``server_url``, so that every process finds the same session. Give an id that
    cannot be guessed if other users may create sessions with ids of their choice in a store where ids are unique.
    ``ttl`` is how many seconds the session lives after each write, ``None`` for the backend's default; set it if a
    refresh token has to last longer. ``callback_url`` is the application's redirect URI.

    These are not returned:

    - an access token that has expired, and a refresh token that has expired;
    - a client registration whose secret has expired, or that was made for other redirect URIs than ``callback_url``;
    - after the access token has expired, the refresh token of an authorization server that is on another origin than
      the MCP server, or unknown. ``OAuthClientProvider`` sends it to the MCP server's ``/token``, since it has not
      discovered the authorization server yet. :class:`SessionOAuthProvider` sends it to the right place.

    The SDK then registers the client again, or opens the browser.

    The methods raise the backend's errors, and :class:`StorageError` if the stored values do not have the expected
    form or belong to another server.
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
        template = SessionData(
            session_id=derived_id(identity, canonical(server_url)) if session_id is None else session_id,
            identity=identity,
            server_url=server_url,
            transport_type=transport_type,
            callback_url=callback_url,
            created_at=int(clock() * 1000),
        )
        self.session = ServerSession(backend, template, ttl, derived=session_id is None)
        self.clock = clock

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self.session.template.session_id

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens with ``expires_in`` counted from now, or ``None`` if none of them is valid."""
        session = await self.session.read()
        if session is None or session.tokens is None:
            return None
        now = self.clock()
        tokens = stored_tokens(session.tokens, now)
        if seconds_left(session.tokens, now) >= 1:
            return tokens
        if tokens.refresh_token is None or not _sdk_refreshes_at_home(session):
            return None
        return tokens.model_copy(update={"access_token": "", "expires_in": 0})

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Store the tokens. They replace the old ones."""
        await self.session.write({"tokens": tokens_to_store(tokens, self.clock())})

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the client information, or ``None`` if there is none that is valid."""
        session = await self.session.read()
        if session is None or session.client_information is None:
            return None
        client = stored_client(session.client_information)
        callback_url = self.session.template.callback_url
        if secret_has_expired(client, self.clock()):
            reason = "its secret has expired"
        elif callback_url and not accepts_redirect(client, callback_url, any_port=True):
            reason = "it was made for another redirect URI"
        else:
            return client
        logger.info("[mcp-storage] the client registration at %s is not used: %s", session.server_url, reason)
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Store the client information. It replaces the old one."""
        stored = client_info.model_dump(mode="json", exclude_none=True)
        await self.session.write({"client_information": stored, "client_id": client_info.client_id})

    async def forget(self) -> None:
        """Remove the session: the user signs in again."""
        await self.session.remove()


def _sdk_refreshes_at_home(session: SessionData) -> bool:
    """Return whether the SDK sends no secret to an origin other than the one that it belongs to.

    It refreshes at the MCP server's origin, and not at all without a client registration.
    """
    if session.client_information is None:
        return True
    issuer = session.client_information.get("issuer")
    return isinstance(issuer, str) and origin(issuer) == origin(session.server_url)
