"""What a provider knows about its session: read from the store, and written back."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import anyio
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata
from pydantic import BaseModel, ValidationError

from reference_backends.core.errors import SessionNotFoundError, StorageUnavailableError
from reference_backends.core.session import SessionUpdate
from reference_backends.mcp.server_session import ServerSession
from reference_backends.mcp.session_context import SessionContext
from reference_backends.mcp.stored import (
    REFRESH_EXPIRES_AT,
    accepts_redirect,
    seconds_left,
    secret_has_expired,
    stored_client,
    stored_tokens,
    tokens_to_store,
)

logger = logging.getLogger("reference_backends")

Model = TypeVar("Model", bound=BaseModel)
Save = Callable[[], Awaitable[None]]

AUTHORIZATION_SERVER = "authorization_server"
"""The key in the stored tokens of the server that issued them, so that they are sent to no other server."""

PAUSES = (0.1, 0.4, 1.5)
"""Seconds before each retry of a write of new tokens. The old tokens are not valid any more, so it must succeed."""


class Account:
    """Fills the context of the SDK's flow from the session. To that flow it is the ``TokenStorage``."""

    def __init__(self, session: ServerSession, context: SessionContext) -> None:
        self.session = session
        self.context = context
        self.token_endpoint: str | None = None
        self.refresh_lasts: float | None = None
        """Seconds that the refresh token of the last answer lasts. The SDK's model has no field for it."""
        self._stored: dict[str, Any] = {}
        self._unsaved: Save | None = None

    # What the SDK calls

    async def get_tokens(self) -> OAuthToken | None:
        """Return what is loaded already."""
        return self.context.current_tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return what is loaded already."""
        return self.context.client_info

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Store the tokens of a login, with the client that they were issued to and the server that issued them."""
        metadata = self.context.oauth_metadata
        base = self.context.get_authorization_base_url(self.context.server_url)
        self.token_endpoint = str(metadata.token_endpoint) if metadata else f"{base}/token"
        changes: SessionUpdate = {**self._tokens(tokens), **self._client()}
        await self._keep(partial(self.session.write, changes))

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Store a new client registration."""
        await self.session.write(self._client())

    # What the provider calls

    async def load(self) -> None:
        """Fill the context from the store. Raises :class:`StorageError`."""
        if self._unsaved is not None:
            await self._keep(self._unsaved, pauses=())
        if self._unsaved is not None:
            return  # the tokens of this process are newer
        context, session = self.context, await self.session.read()
        client = None if session is None else session.client_information
        context.client_info = None if client is None else stored_client(client)
        if context.client_info is not None and secret_has_expired(context.client_info, context.clock()):
            self._drop_client("its secret has expired")
        if session is None or session.tokens is None:
            context.clear_tokens()
            self._stored, self.token_endpoint = {}, None
            return
        self._stored, now = session.tokens, context.clock()
        context.current_tokens = stored_tokens(session.tokens, now)
        left = seconds_left(session.tokens, now)
        context.token_expiry_time = None if left == math.inf else now + left
        lifetime = session.tokens.get("expires_in")
        context.lifetime = lifetime if isinstance(lifetime, (int, float)) else None
        self._load_authorization_server(session.tokens.get(AUTHORIZATION_SERVER))

    @property
    def has_unsaved(self) -> bool:
        """Whether tokens could not be stored so far."""
        return self._unsaved is not None

    def is_refreshable(self) -> bool:
        """Return whether there is a refresh token, a client, and an authorization server that both belong to."""
        tokens = self.context.current_tokens
        return bool(tokens and tokens.refresh_token and self.context.client_info) and bool(
            self.token_endpoint or self.issuer
        )

    @property
    def issuer(self) -> str | None:
        """The issuer of the tokens, or of the client registration; ``None`` if neither is known."""
        if self.context.oauth_metadata is not None:
            return str(self.context.oauth_metadata.issuer)
        issuer = getattr(self.context.client_info, "issuer", None)
        return issuer if isinstance(issuer, str) else None

    async def save(self, tokens: OAuthToken) -> None:
        """Store refreshed tokens. Keep scope and refresh token if the answer omits them (RFC 6749, section 6)."""
        before = self.context.current_tokens
        changes: dict[str, Any] = {}
        if before is not None and tokens.scope is None:
            changes["scope"] = before.scope
        if before is not None and tokens.refresh_token is None:
            changes["refresh_token"] = before.refresh_token
            if self.refresh_lasts is None and REFRESH_EXPIRES_AT in self._stored:
                self.refresh_lasts = seconds_left(self._stored, self.context.clock(), REFRESH_EXPIRES_AT)
        tokens = tokens.model_copy(update=changes)
        self.context.current_tokens = tokens
        self.context.update_token_expiry(tokens)
        await self._keep(partial(self.session.update, self._tokens(tokens)))

    async def drop_refresh_token(self, *, with_client: str | None) -> None:
        """Remove a refresh token that is not valid any more. Remove the client, too, if a reason is given."""
        tokens = self.context.current_tokens
        if tokens is None:
            return
        self.context.current_tokens = tokens.model_copy(update={"refresh_token": None})
        kept = {
            name: value for name, value in self._stored.items() if name not in ("refresh_token", REFRESH_EXPIRES_AT)
        }
        changes: SessionUpdate = {"tokens": kept}
        if with_client:
            self._drop_client(with_client)
            changes |= {"client_information": None, "client_id": None}
        self._stored = kept
        await self._keep(partial(self.session.update, changes))

    def prepare_login(self) -> None:
        """Drop a client that can't be used for a login, so that the SDK registers a new one."""
        client = self.context.client_info
        if client is None:
            return
        wanted = self.context.client_metadata.redirect_uris or []
        if secret_has_expired(client, self.context.clock()):
            self._drop_client("its secret has expired")
        elif wanted and not accepts_redirect(client, str(wanted[0]), any_port=False):
            self._drop_client("it was made for another redirect URI")

    def _drop_client(self, reason: str) -> None:
        self.context.client_info = None
        logger.info("[mcp-storage] the client registration at %s is not used: %s", self.context.server_url, reason)

    def _client(self) -> SessionUpdate:
        client = self.context.client_info
        if client is None:
            return {}
        stored = client.model_dump(mode="json", exclude_none=True)
        if self.context.oauth_metadata is not None:  # before 2.0 the SDK does not add it
            stored.setdefault("issuer", str(self.context.oauth_metadata.issuer))
        return {"client_information": stored, "client_id": client.client_id}

    def _tokens(self, tokens: OAuthToken) -> SessionUpdate:
        stored = tokens_to_store(tokens, self.context.clock(), self.refresh_lasts)
        self.refresh_lasts = None
        self._stored = {**stored, AUTHORIZATION_SERVER: self._authorization_server()}
        return {"tokens": self._stored}

    def _authorization_server(self) -> dict[str, Any]:
        known: dict[str, Any] = {"token_endpoint": self.token_endpoint}
        if self.context.auth_server_url is not None:
            known["url"] = self.context.auth_server_url
        for name, model in (
            ("metadata", self.context.oauth_metadata),
            ("resource", self.context.protected_resource_metadata),
        ):
            if model is not None:
                known[name] = model.model_dump(mode="json", exclude_none=True)
        return known

    def _load_authorization_server(self, known: object) -> None:
        stored: Mapping[str, Any] = known if isinstance(known, dict) else {}
        endpoint, url = stored.get("token_endpoint"), stored.get("url")
        self.token_endpoint = endpoint if isinstance(endpoint, str) else None
        self.context.oauth_metadata = _model(OAuthMetadata, stored.get("metadata"))
        self.context.protected_resource_metadata = _model(ProtectedResourceMetadata, stored.get("resource"))
        self.context.auth_server_url = url if isinstance(url, str) else None

    async def _keep(self, save: Save, pauses: tuple[float, ...] | None = None) -> None:
        """Write to the session. Retry if the store is not available. If the session is removed, the user signed out."""
        self._unsaved = save
        for pause in (*(PAUSES if pauses is None else pauses), None):
            try:
                await save()
            except SessionNotFoundError:
                self.context.clear_tokens()
                logger.info("[mcp-storage] signed out of %s by another process", self.context.server_url)
            except StorageUnavailableError as error:
                if pause is not None:
                    await anyio.sleep(pause)
                    continue
                logger.error(  # noqa: TRY400 - no traceback: the store's error says what to do
                    "[mcp-storage] new tokens of %s could not be stored, the next request retries: %s",
                    self.context.server_url,
                    error,
                )
                return
            self._unsaved = None
            return


def _model(model: type[Model], stored: object) -> Model | None:
    try:
        return None if stored is None else model.model_validate(stored)
    except ValidationError:
        return None
