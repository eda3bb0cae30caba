"""The official SDK's OAuth client, its tokens in a store of ours, against a real MCP server with OAuth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

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
from tests.reference_backends.mcp.servers import CALLBACK, LIFETIME, Browser, greeting, provider, servers

KEY = "00112233445566778899aabbccddeeff" * 2


async def greeted(url: str, storage: SessionTokenStorage) -> str:
    """Return the result of the server's tool for a client of the SDK's own class."""
    return await greeting(url, provider(url, storage, Browser(), OAuthClientProvider))


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

        async with servers(elsewhere=False) as setting:
            url, authorization = setting.url, setting.authorization
            async with opened() as storage:
                assert await storage.get_tokens() is None
                assert await greeted(url, storage) == "hello alice"
                assert authorization.done == ["register", "authorize", "exchange"]
                first = await storage.get_tokens()
                assert first is not None
                assert first.access_token in authorization.access
                client = await storage.get_client_info()
                assert client is not None
                assert client.client_secret == authorization.clients[client.client_id].client_secret is not None

            async with opened() as storage:
                assert await greeted(url, storage) == "hello alice"
                assert authorization.done == ["register", "authorize", "exchange"]

            now += LIFETIME
            authorization.access.clear()
            async with opened() as storage:
                assert await greeted(url, storage) == "hello alice"
                assert authorization.done == ["register", "authorize", "exchange", "refresh"]
                second = await storage.get_tokens()
                assert second is not None
                assert second.access_token in authorization.access

            now += 31 * 86400
            async with opened() as storage:
                assert await storage.get_tokens() is await storage.get_client_info() is None
                assert await greeted(url, storage) == "hello alice"
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
    """Some servers write it to say "never"."""

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
    """In this store another process creates the session between the update and the create."""

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
