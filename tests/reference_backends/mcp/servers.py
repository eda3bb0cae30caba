"""A real MCP server and a real authorization server of the SDK, on loopback ports, and clients for them."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import uvicorn
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from reference_backends.mcp import SessionOAuthProvider, SessionTokenStorage

CALLBACK = "http://localhost:3030/callback"
LIFETIME = 3600

Alter = Callable[[str, dict[str, Any]], Response | dict[str, Any] | None]
"""Takes the path of a request and the JSON that answers it, and returns another answer, or ``None``."""


class AuthorizationServer:
    """A server that accepts every user. It rotates refresh tokens and ends a login if one is used twice (RFC 9700)."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.done: list[str] = []
        self.used: set[str] = set()
        self.lifetime: int | None = LIFETIME
        self.delay = 0.0
        """How long a refresh takes, at most."""

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.done.append("register")
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        self.done.append("authorize")
        code = AuthorizationCode(
            code=secrets.token_urlsafe(),
            client_id=client.client_id,
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            **params.model_dump(
                include={"code_challenge", "redirect_uri", "redirect_uri_provided_explicitly", "resource"}
            ),
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        self.done.append("exchange")
        del self.codes[authorization_code.code]
        return self.issue(client.client_id, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        if refresh_token in self.used:
            self.done.append("reuse")
            self.access.clear()
            self.refresh.clear()
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.done.append("refresh")
        del self.refresh[refresh_token.token]
        self.used.add(refresh_token.token)
        await asyncio.sleep(self.delay * secrets.randbelow(1000) / 1000)
        return self.issue(client.client_id, scopes, refresh_token.resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def verify_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)

    async def exchange_identity_assertion(self, *given: object) -> OAuthToken:
        raise NotImplementedError

    def issue(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = f"access-{secrets.token_urlsafe()}", f"refresh-{secrets.token_urlsafe()}"
        self.access.clear()  # only the newest access token of a login is valid
        self.access[access] = AccessToken(token=access, client_id=client_id, scopes=scopes, resource=resource)
        self.refresh[refresh] = RefreshToken(token=refresh, client_id=client_id, scopes=scopes, resource=resource)
        return OAuthToken(access_token=access, refresh_token=refresh, expires_in=self.lifetime, scope=" ".join(scopes))


class Altering:
    """An application whose JSON answers may be changed. It records every request."""

    def __init__(self, inner: Any, alter: Alter | None) -> None:
        self.inner = inner
        self.alter = alter
        self.down = False
        """Whether every request is answered with 503."""
        self.requests: list[tuple[str, str, bytes, str]] = []
        """Method, path, body and ``Authorization`` of each."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.inner(scope, receive, send)
        body = await Request(scope, receive).body()
        authorization = dict(scope["headers"]).get(b"authorization", b"").decode()
        self.requests.append((scope["method"], scope["path"], body, authorization))
        if self.down:
            return await Response("Service Unavailable", 503)(scope, receive, send)
        sent: list[Any] = []

        async def replay() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Any) -> None:
            sent.append(message)

        await self.inner(scope, replay, collect)
        answer = b"".join(each.get("body", b"") for each in sent)
        altered = None
        if self.alter is not None and answer.startswith(b"{"):
            altered = self.alter(scope["path"], json.loads(answer))
        if altered is None:
            for each in sent:
                await send(each)
            return None
        if isinstance(altered, dict):
            altered = Response(json.dumps(altered), sent[0]["status"], media_type="application/json")
        return await altered(scope, receive, send)


@asynccontextmanager
async def served(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    web = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", timeout_keep_alive=60))
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    try:
        yield
    finally:
        web.should_exit = True
        await serving


class Setting:
    """The servers of a test."""

    url: str
    issuer: str
    authorization: AuthorizationServer
    answers: Altering


@asynccontextmanager
async def servers(*, elsewhere: bool = True, alter: Alter | None = None) -> AsyncIterator[Setting]:
    """Run an MCP server that requires a login, and an authorization server on another origin or inside it."""
    setting = Setting()
    setting.authorization = authorization = AuthorizationServer()
    async with AsyncExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
            each.listen(100)  # so that requests wait until the server has started
        base, issuer = (f"http://127.0.0.1:{each.getsockname()[1]}" for each in sockets)
        setting.url, setting.issuer = f"{base}/mcp", issuer if elsewhere else base
        registration = ClientRegistrationOptions(enabled=True)
        auth = AuthSettings(
            issuer_url=setting.issuer,
            resource_server_url=setting.url,
            validate_token_resource=True,
            client_registration_options=registration,
        )
        if elsewhere:
            routes = create_auth_routes(authorization, auth.issuer_url, client_registration_options=registration)
            setting.answers = Altering(Starlette(routes=routes), alter)
            await stack.enter_async_context(served(setting.answers, sockets[1]))
            server = MCPServer("test", token_verifier=authorization, auth=auth)
        else:
            server = MCPServer("test", auth_server_provider=authorization, auth=auth)

        @server.tool()
        def greet(name: str) -> str:
            """Greet somebody."""
            return f"hello {name}"

        await stack.enter_async_context(served(server.streamable_http_app(), sockets[0]))
        yield setting


class Browser:
    """A user who accepts every login. ``logins`` is the number of logins."""

    def __init__(self) -> None:
        self.location = ""
        self.logins = 0

    async def browse(self, authorization_url: str) -> None:
        self.logins += 1
        async with httpx.AsyncClient() as browser:
            self.location = (await browser.get(authorization_url)).headers["location"]

    async def result(self) -> AuthorizationCodeResult:
        answer = {name: values[0] for name, values in parse_qs(urlsplit(self.location).query).items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer.get("iss"))


def provider(
    url: str,
    storage: SessionTokenStorage,
    browser: Browser,
    kind: type[OAuthClientProvider] = SessionOAuthProvider,
    callback: str = CALLBACK,
    **options: Any,
) -> OAuthClientProvider:
    metadata = OAuthClientMetadata(
        client_name="test", redirect_uris=[callback], token_endpoint_auth_method="client_secret_post"
    )
    return kind(url, metadata, storage, browser.browse, browser.result, **options)


@asynccontextmanager
async def connected(url: str, auth: OAuthClientProvider) -> AsyncIterator[Callable[[], Any]]:
    """Open a session of the SDK's client. Yield a function that calls the server's tool."""
    async with (
        httpx2.AsyncClient(auth=auth, timeout=30) as http,
        streamable_http_client(url, http_client=http) as streams,
        ClientSession(*streams[:2]) as session,
    ):
        await session.initialize()

        async def greet() -> str:
            said = await session.call_tool("greet", {"name": "alice"})
            return str(said.content[0].text)

        yield greet


async def greeting(url: str, auth: OAuthClientProvider) -> str:
    """Return the result of the server's tool in a new session of the SDK's client."""
    async with connected(url, auth) as greet:
        return str(await greet())
