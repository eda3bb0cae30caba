"""The official SDK's OAuth client, its tokens in a store of ours, against a real MCP server with OAuth."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
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
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from reference_backends import (
    MemoryStorageBackend,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SqliteStorageBackend,
    StorageBackend,
    StorageError,
)
from reference_backends.core.validation import LONGEST_TTL
from reference_backends.mcp import SessionTokenStorage

KEY = "00112233445566778899aabbccddeeff" * 2
CALLBACK = "http://localhost:3030/callback"
TOKEN_LIFE = 3600


class AuthorizationServer:
    """Says yes to whoever asks. It counts what it did, and keeps everything in memory."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.done: list[str] = []

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
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.done.append("refresh")
        del self.refresh[refresh_token.token]
        return self.issue(client.client_id, scopes, refresh_token.resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)

    async def exchange_identity_assertion(self, *given: object) -> OAuthToken:
        raise NotImplementedError

    def issue(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = f"access-{secrets.token_urlsafe()}", f"refresh-{secrets.token_urlsafe()}"
        self.access[access] = AccessToken(token=access, client_id=client_id, scopes=scopes, resource=resource)
        self.refresh[refresh] = RefreshToken(token=refresh, client_id=client_id, scopes=scopes, resource=resource)
        return OAuthToken(access_token=access, refresh_token=refresh, expires_in=TOKEN_LIFE, scope=" ".join(scopes))


@asynccontextmanager
async def mcp_server() -> AsyncIterator[tuple[str, AuthorizationServer]]:
    """The URL of an MCP server that wants a login, on a loopback port, and the authorization server beside it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        authorization = AuthorizationServer()
        server = MCPServer(
            "test",
            auth_server_provider=authorization,
            auth=AuthSettings(
                issuer_url=base,
                resource_server_url=f"{base}/mcp",
                validate_token_resource=True,
                client_registration_options=ClientRegistrationOptions(enabled=True),
            ),
        )

        @server.tool()
        def greet(name: str) -> str:
            """Greet somebody."""
            return f"hello {name}"

        web = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error", lifespan="on"))
        serving = asyncio.create_task(web.serve(sockets=[listener]))
        try:
            yield f"{base}/mcp", authorization
        finally:
            web.should_exit = True
            await serving


async def greeting(url: str, storage: SessionTokenStorage) -> str:
    """What the server's tool says to a client that logs in as the SDK does, by a browser where it must."""
    location = ""

    async def browse(authorization_url: str) -> None:
        nonlocal location
        async with httpx.AsyncClient() as browser:
            location = (await browser.get(authorization_url)).headers["location"]

    async def result() -> AuthorizationCodeResult:
        answer = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="test", redirect_uris=[CALLBACK], token_endpoint_auth_method="client_secret_post"
    )
    provider = OAuthClientProvider(url, metadata, storage, browse, result)
    async with (
        httpx2.AsyncClient(auth=provider) as http,
        streamable_http_client(url, http_client=http) as streams,
        ClientSession(*streams[:2]) as session,
    ):
        await session.initialize()
        said = await session.call_tool("greet", {"name": "alice"})
        return str(said.content[0].text)


def test_a_login_outlives_the_process_and_the_access_token(tmp_path: Path) -> None:
    now = time.time()

    async def check() -> None:
        nonlocal now

        @asynccontextmanager
        async def opened() -> AsyncIterator[SessionTokenStorage]:
            backend = SqliteStorageBackend(tmp_path / "sessions.db", encryption_key=KEY, clock=lambda: now)
            await backend.init()
            yield SessionTokenStorage(backend, "alice", url, ttl=30 * 86400, clock=lambda: now)
            await backend.disconnect()

        async with mcp_server() as (url, authorization):
            async with opened() as storage:
                assert await storage.get_tokens() is None
                assert await greeting(url, storage) == "hello alice"
                assert authorization.done == ["register", "authorize", "exchange"]
                first = await storage.get_tokens()
                assert first is not None
                assert first.access_token in authorization.access
                client = await storage.get_client_info()
                assert client is not None
                assert client.client_secret == authorization.clients[client.client_id].client_secret is not None

            async with opened() as storage:
                assert await greeting(url, storage) == "hello alice"
                assert authorization.done == ["register", "authorize", "exchange"]

            now += TOKEN_LIFE
            authorization.access.clear()
            async with opened() as storage:
                assert await greeting(url, storage) == "hello alice"
                assert authorization.done == ["register", "authorize", "exchange", "refresh"]
                second = await storage.get_tokens()
                assert second is not None
                assert second.access_token in authorization.access

            now += 31 * 86400
            async with opened() as storage:
                assert await storage.get_tokens() is await storage.get_client_info() is None
                assert await greeting(url, storage) == "hello alice"
                assert authorization.done[4:] == ["register", "authorize", "exchange"]

            stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
            for secret in (first.access_token, second.refresh_token, client.client_secret):
                assert str(secret).encode() not in stored

    asyncio.run(check())


def test_two_users_and_two_servers_have_a_session_each() -> None:
    async def check() -> None:
        backend = await memory()
        pairs = [("alice", "https://one.example"), ("bob", "https://one.example"), ("alice", "https://two.example")]
        for identity, url in pairs:
            await SessionTokenStorage(backend, identity, url).set_tokens(OAuthToken(access_token=f"{identity} {url}"))
        for identity, url in pairs:
            again = SessionTokenStorage(backend, identity, url)
            assert await again.get_tokens() == OAuthToken(access_token=f"{identity} {url}")
            session = await backend.get_session(identity, again.session_id)
            assert session is not None
            assert (session.server_url, session.transport_type) == (url, "streamable_http")
        assert len(await backend.get_all_session_ids()) == 3

    asyncio.run(check())


@pytest.mark.parametrize("refresh_token", [None, "r"])
def test_the_time_that_is_left_is_counted(refresh_token: str | None) -> None:
    now = 1_800_000_000.0

    async def check() -> None:
        nonlocal now
        storage = SessionTokenStorage(await memory(), "alice", "https://one.example", clock=lambda: now)
        await storage.set_tokens(OAuthToken(access_token="a", refresh_token=refresh_token, expires_in=100))
        now += 40
        assert (await storage.get_tokens() or OAuthToken(access_token="")).expires_in == 60
        now += 60
        seen = await storage.get_tokens()
        if refresh_token is None:
            assert seen is None
        else:
            assert seen is not None
            assert (seen.access_token, seen.refresh_token) == ("", "r")
        await storage.set_tokens(OAuthToken(access_token="for-ever"))
        now += 10_000
        assert await storage.get_tokens() == OAuthToken(access_token="for-ever")

    asyncio.run(check())


@pytest.mark.parametrize("never", [2**63 - 1, 10**400], ids=["64 bits", "beyond a float"])
def test_a_lifetime_that_no_store_keeps_is_a_hundred_years(never: int) -> None:
    """As servers write it that mean "never"."""

    async def check() -> None:
        storage = SessionTokenStorage(await memory(), "alice", "https://one.example", clock=lambda: 1000.0)
        await storage.set_tokens(OAuthToken(access_token="a", expires_in=never))
        kept = await storage.get_tokens()
        assert kept is not None
        assert kept.expires_in == LONGEST_TTL
        await storage.set_tokens(OAuthToken(access_token="a", expires_in=-never))
        assert await storage.get_tokens() is None

    asyncio.run(check())


def test_what_is_kept_replaces_what_was() -> None:
    async def check() -> None:
        storage = SessionTokenStorage(await memory(), "alice", "https://one.example", session_id="my-own")
        assert storage.session_id == "my-own"
        client = OAuthClientInformationFull(client_id="me", client_secret="s", redirect_uris=[CALLBACK])
        await storage.set_client_info(client)
        assert await storage.get_tokens() is None
        await storage.set_tokens(OAuthToken(access_token="a", refresh_token="r", scope="x"))
        await storage.set_tokens(OAuthToken(access_token="b"))
        assert await storage.get_tokens() == OAuthToken(access_token="b")
        assert await storage.get_client_info() == client
        await storage.forget()
        assert await storage.get_client_info() is await storage.get_tokens() is None

    asyncio.run(check())


def test_two_processes_that_log_in_at_once_share_the_session() -> None:
    """By a store in which another creates the session between the update and the create."""

    class Late(MemoryStorageBackend):
        async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
            await super().create_session(session.model_copy(update={"tokens": {"access_token": "other"}}), ttl)
            await super().create_session(session, ttl)

    async def check() -> None:
        backend = Late()
        await backend.init()
        storage = SessionTokenStorage(backend, "alice", "https://one.example")
        await storage.set_tokens(OAuthToken(access_token="mine"))
        assert await storage.get_tokens() == OAuthToken(access_token="mine")

    asyncio.run(check())


def test_an_id_that_another_identity_holds_is_an_error() -> None:
    class Taken(MemoryStorageBackend):
        async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
            raise SessionExistsError("taken")

    async def check() -> None:
        backend = Taken()
        await backend.init()
        with pytest.raises(SessionNotFoundError):
            await SessionTokenStorage(backend, "alice", "https://one.example").set_tokens(OAuthToken(access_token="a"))

    asyncio.run(check())


def test_foreign_tokens_are_an_error_that_shows_nothing() -> None:
    async def check() -> None:
        backend = await memory()
        storage = SessionTokenStorage(backend, "alice", "https://one.example")
        await storage.set_tokens(OAuthToken(access_token="a"))
        await backend.update_session("alice", storage.session_id, {"tokens": {"access_token": ["the-secret"]}})
        with pytest.raises(StorageError) as raised:
            await storage.get_tokens()
        assert "the-secret" not in str(raised.value)
        assert raised.value.__cause__ is raised.value.__context__ is None

    asyncio.run(check())


async def memory() -> StorageBackend:
    backend = MemoryStorageBackend(encryption_key=KEY)
    await backend.init()
    return backend
