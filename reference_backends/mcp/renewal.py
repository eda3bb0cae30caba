"""Refresh the tokens of a session before they expire, under a lock, at the server that issued them."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Any

import anyio
from mcp.client.auth import OAuthTokenError
from mcp.shared.auth import OAuthToken
from pydantic import ValidationError

from reference_backends.core.errors import StorageUnavailableError
from reference_backends.mcp import responses
from reference_backends.mcp.account import Account
from reference_backends.mcp.discovery import find_token_endpoint
from reference_backends.mcp.flows import TIMEOUT, Flow, relayed
from reference_backends.mcp.refresh_lock import LOCK_SECONDS, RefreshLock

if TYPE_CHECKING:
    from httpx2 import Request, Response

logger = logging.getLogger("reference_backends")

RETRY_SECONDS = 10.0
"""Seconds until the next attempt after a failed refresh, while the old access token is still valid."""

MOVED = (404, 405, 410)
TEMPORARY = ("temporarily_unavailable", "server_error", "slow_down")
CLIENT_REFUSED = ("invalid_client", "unauthorized_client")


class Renewal:
    """The flow that refreshes tokens, at most ``refresh_before`` seconds before they expire."""

    def __init__(self, account: Account, refresh_before: float) -> None:
        self._account = account
        self._context = account.context
        self._refresh_before = refresh_before
        self._retry_at = 0.0
        self.refreshes = 0
        self.postponed = False
        """Whether the last refresh failed for a temporary reason, so that no login is needed."""

    async def flow(self, request: Request, refused: str | None = None) -> Flow:
        """Put a valid access token into the context, if that is possible now and without the user.

        ``refused`` is an access token that the server has refused, ``""`` if the request had none.
        """
        if self._serves(refused) and not self._account.has_unsaved:
            return
        lock = RefreshLock(self._account.session)
        try:
            if not await self._begin(lock, refused):
                return
        except StorageUnavailableError as error:
            if refused is not None or not self._context.is_token_valid():
                raise
            self._retry_at = self._context.clock() + RETRY_SECONDS
            logger.warning("[mcp-storage] tokens that expire soon are not refreshed now: %s", error)
            return
        try:
            await self._account.load()
            if not self._serves(refused) and self._account.is_refreshable():
                async with relayed(self._refresh(request)) as step:
                    outgoing = await step()
                    while outgoing is not None:
                        outgoing = await step((yield outgoing))
        finally:
            await lock.release()

    async def _begin(self, lock: RefreshLock, refused: str | None) -> bool:
        """Load the session. Return whether this process has to refresh; then it holds the lock."""
        await self._account.load()
        if self._serves(refused) or not self._account.is_refreshable():
            self.postponed = False
            return False
        if self.postponed and self._context.clock() < self._retry_at:
            return False
        return await self._acquire(lock, refused)

    def _serves(self, refused: str | None) -> bool:
        """Return whether the access token in the context can be used and needs no refresh now."""
        context = self._context
        if refused is not None:
            tokens = context.current_tokens
            return context.is_token_valid() and tokens is not None and tokens.access_token != refused
        return context.lasts(0 if context.clock() < self._retry_at else self._refresh_before)

    async def _acquire(self, lock: RefreshLock, refused: str | None) -> bool:
        """Return whether this process has to refresh. If another process does it, wait for its tokens."""
        pause, until = 0.02, time.monotonic() + 2 * LOCK_SECONDS
        while not await lock.acquire():
            if refused is None and self._context.is_token_valid():
                return False  # the old token is still valid
            if time.monotonic() > until:
                self._postpone("other processes have held the refresh lock for too long")
                return False
            await anyio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, 0.5)
            await self._account.load()
            if self._serves(refused) or not self._account.is_refreshable():
                self.postponed = False
                return False
        return True

    def _postpone(self, reason: str) -> None:
        self.postponed = True
        self._retry_at = self._context.clock() + RETRY_SECONDS
        logger.warning("[mcp-storage] %s; the login is kept, a later request retries", reason)

    async def _refresh(self, request: Request) -> Flow:
        """Refresh once; a second time if the token endpoint has moved."""
        # If the server can't be reached, the request fails here with an exception of the HTTP client.
        self.postponed, self._retry_at = True, self._context.clock() + RETRY_SECONDS
        tried: str | None = None
        response: Response | None = None
        for _ in range(2):
            if self._account.token_endpoint is None or response is not None:
                async with relayed(find_token_endpoint(self._account)) as step:
                    outgoing = await step()
                    while outgoing is not None:
                        outgoing = await step((yield outgoing))
            if self._account.token_endpoint in (None, tried):
                break
            tried = self._account.token_endpoint
            response = yield self._refresh_request(request, tried)
            if response.status_code not in MOVED:
                break
        self.postponed = False
        if response is not None:
            await self._take(response)

    def _refresh_request(self, request: Request, endpoint: str) -> Request:
        context = self._context
        if context.current_tokens is None or context.client_info is None:
            raise OAuthTokenError("there is nothing to refresh; sign in")
        data = {
            "grant_type": "refresh_token",
            "refresh_token": context.current_tokens.refresh_token or "",
            "client_id": context.client_info.client_id,
        }
        if context.should_include_resource_param(context.protocol_version):
            data["resource"] = context.get_resource_url()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        data, headers = context.prepare_token_auth(data, headers)
        # httpx2.Request for mcp 2, httpx.Request for mcp 1
        return type(request)("POST", endpoint, data=data, headers=headers, extensions={"timeout": TIMEOUT})

    async def _take(self, response: Response) -> None:
        """Store the answer of the token endpoint."""
        data = responses.parse(await response.aread()) or {}
        tokens = _tokens(data) if response.status_code in (200, 201) else None
        error = data.get("error")
        if tokens is not None:
            self._account.refresh_lasts = responses.refresh_lifetime(data)
            self._retry_at = 0.0
            self.refreshes += 1
            await self._account.save(tokens)
        elif _is_final(response.status_code, error):
            logger.info("[mcp-storage] %s refused a refresh: %s", self._account.token_endpoint, error)
            client = "the authorization server refused it" if error in CLIENT_REFUSED else None
            await self._account.drop_refresh_token(with_client=client)
        else:
            self._postpone(f"{self._account.token_endpoint} answered a refresh with status {response.status_code}")


def _is_final(status: int, error: Any) -> bool:
    """Return whether a refresh will never succeed. 403 is final if it comes from the server, not from a firewall."""
    return error not in TEMPORARY and (status in (200, 201, 400, 401) or (status == 403 and error is not None))


def _tokens(data: dict[str, Any]) -> OAuthToken | None:
    try:
        return OAuthToken.model_validate(responses.token_answer(data))
    except ValidationError:
        return None
