"""An OAuth client whose logins survive a restart, and are shared by every process of one user.

Source: ``mcp.client.auth.OAuthClientProvider`` of the package ``mcp``, 1.23 or later.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata

from reference_backends.core.errors import ConfigurationError
from reference_backends.mcp import responses
from reference_backends.mcp.account import Account
from reference_backends.mcp.discovery import check_issuer
from reference_backends.mcp.flows import Flow, relayed
from reference_backends.mcp.renewal import Renewal
from reference_backends.mcp.server_url import origin
from reference_backends.mcp.session_context import SessionContext
from reference_backends.mcp.token_storage import SessionTokenStorage

if TYPE_CHECKING:
    from httpx2 import Request, Response

YEAR = 365 * 86400.0
"""Seconds that a session lives after its last refresh, if the storage has no ``ttl``."""

REDIRECTS = 5

REFUSED_REFRESHES = 3
"""The user signs in again if the server refuses this many access tokens that were refreshed for one request."""

REFUSALS = 10
"""The same, including tokens that other processes have refreshed meanwhile."""


class SessionOAuthProvider(OAuthClientProvider):
    """The SDK's ``OAuthClientProvider`` on a :class:`SessionTokenStorage`; it takes the same arguments.

    - After a restart it knows when the tokens expire and which authorization server issued them. Refresh token and
      client secret go to that server alone.
    - It refreshes up to ``refresh_before`` seconds before the access token expires, and after the server has refused
      one. Of several processes one refreshes, and the others take its tokens.
    - The user signs in again only if the authorization server refuses the refresh token. If that server fails, the
      caller gets the MCP server's 401; if it can't be reached, the HTTP client's exception. The login is kept.
    - Sessions live for a year after each write, unless the storage has a ``ttl``.
    - It registers the client again if the client's secret has expired or the redirect URI has changed.
    - It accepts what real servers answer: ``expires_in`` as text, scopes as a list, and more.

    ``options`` are those of the SDK's class. Raises :class:`ConfigurationError` if the storage is for another server.
    """

    def __init__(
        self,
        server_url: str,
        client_metadata: OAuthClientMetadata,
        storage: SessionTokenStorage,
        redirect_handler: Callable[[str], Awaitable[None]] | None = None,
        callback_handler: Callable[[], Awaitable[Any]] | None = None,
        *,
        refresh_before: float = 60.0,
        **options: Any,
    ) -> None:
        super().__init__(server_url, client_metadata, storage, redirect_handler, callback_handler, **options)
        stored_url = storage.session.template.server_url
        if origin(stored_url) != origin(server_url):
            raise ConfigurationError(
                f"the storage holds tokens of {origin(stored_url)}, not of {origin(server_url)}; "
                "make a SessionTokenStorage for this server"
            )
        context = SessionContext.of(self.context, storage.clock)
        self._account = Account(storage.session.with_default_ttl(YEAR), context)
        self._renewal = Renewal(self._account, refresh_before)
        context.storage = self._account
        self.context: SessionContext = context

    async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """Run the SDK's flow; refresh before it, and again if the server refuses the access token."""
        async with self.context.lock:
            self.context.protocol_version = request.headers.get("mcp-protocol-version")
            async with relayed(self._renewed(request)) as step:
                outgoing = await step()
                while outgoing is not None:
                    outgoing = await step((yield outgoing))
        last = self._renewal.refreshes + REFUSED_REFRESHES
        async with relayed(super().async_auth_flow(request)) as step:
            outgoing = await step()
            while outgoing is not None:
                if outgoing is not request:
                    # GitHub returns a form unless the request asks for JSON.
                    outgoing.headers.setdefault("Accept", "application/json")
                response = yield outgoing
                if outgoing is not request:
                    outgoing = await step(await self._readable(outgoing, response))
                    continue
                for _ in range(REFUSALS):
                    if response.status_code != 401 or self._renewal.refreshes >= last:
                        break
                    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
                    async with relayed(self._renewed(request, sent)) as inner:
                        renewing = await inner()
                        while renewing is not None:
                            renewing = await inner((yield renewing))
                    if self._renewal.postponed:
                        async with relayed(check_issuer(self._account, response)) as inner:
                            checking = await inner()
                            while checking is not None:
                                checking = await inner((yield checking))
                        if self._account.is_refreshable():
                            yield request  # the caller gets the last answer: the server's 401
                            return
                    tokens = self.context.current_tokens
                    if not self.context.is_token_valid() or tokens is None or tokens.access_token == sent:
                        break
                    request.headers["Authorization"] = f"Bearer {tokens.access_token}"
                    response = yield request
                if response.status_code in (401, 403):
                    self._account.prepare_login()
                outgoing = await step(response)

    async def _renewed(self, request: Request, refused: str | None = None) -> Flow:
        """Refresh, and follow redirects within an origin, as the SDK does for its own requests."""
        async with relayed(self._renewal.flow(request, refused)) as step:
            outgoing = await step()
            while outgoing is not None:
                response = yield outgoing
                for _ in range(REDIRECTS):
                    follow = response.next_request
                    if follow is None or follow.method != outgoing.method:
                        break
                    if origin(str(follow.url)) != origin(str(outgoing.url)):
                        break
                    response = yield follow
                outgoing = await step(response)

    async def _readable(self, request: Request, response: Response) -> Response:
        """Return the answer to a token request or a registration in the form that the SDK accepts."""
        if request.method != "POST" or response.status_code not in (200, 201):
            return response
        data = responses.parse(await response.aread())
        if data is None:
            return response
        if request.headers.get("Content-Type", "").startswith("application/json"):
            metadata = self.context.oauth_metadata
            supported = None if metadata is None else metadata.token_endpoint_auth_methods_supported
            requested = self.context.client_metadata.token_endpoint_auth_method
            data, status = responses.registration_answer(data, requested, supported), response.status_code
        else:
            self._account.refresh_lasts = responses.refresh_lifetime(data)
            status = 400 if "error" in data and "access_token" not in data else response.status_code
            data = responses.token_answer(data)
        return type(response)(status, json=data, request=response.request)
