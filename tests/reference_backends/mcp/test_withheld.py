"""Tokens that have expired or belong to another server are not returned to the SDK."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from reference_backends import MemoryStorageBackend
from reference_backends.mcp import SessionTokenStorage

SERVER = "https://mcp.example/v1/mcp"
NOW = 1_800_000_000.0
DAY = 86400


async def opened(clock: list[float], **options: Any) -> SessionTokenStorage:
    backend = MemoryStorageBackend(encryption_key="f" * 64, clock=lambda: clock[0])
    await backend.init()
    return SessionTokenStorage(backend, "alice", SERVER, ttl=365 * DAY, clock=lambda: clock[0], **options)


def client(**fields: Any) -> OAuthClientInformationFull:
    usual = {"client_id": "c", "client_secret": "s", "redirect_uris": ["http://localhost/cb"]}
    return OAuthClientInformationFull(**usual | fields)


@pytest.mark.parametrize(
    ("fields", "served"),
    [
        ({"client_secret_expires_at": int(NOW) - DAY}, False),
        ({"client_secret_expires_at": int(NOW)}, False),
        ({"client_secret_expires_at": int(NOW) + DAY}, True),
        ({"client_secret_expires_at": 0}, True),
        ({"client_secret_expires_at": -1}, True),
        ({}, True),
        ({"client_secret": None, "client_secret_expires_at": int(NOW) - DAY}, True),
        ({"token_endpoint_auth_method": "none", "client_secret_expires_at": int(NOW) - DAY}, True),
        ({"token_endpoint_auth_method": "client_secret_basic", "client_secret_expires_at": 1}, False),
    ],
)
def test_a_client_whose_secret_has_expired_is_withheld(fields: dict[str, Any], served: bool) -> None:
    async def check() -> None:
        storage = await opened([NOW])
        await storage.set_client_info(client(**fields))
        assert (await storage.get_client_info() is not None) is served

    asyncio.run(check())


def test_a_secret_expires_while_the_process_runs() -> None:
    async def check() -> None:
        clock = [NOW]
        storage = await opened(clock)
        await storage.set_client_info(client(client_secret_expires_at=int(NOW) + DAY))
        assert await storage.get_client_info() is not None
        clock[0] += DAY
        assert await storage.get_client_info() is None
        await storage.set_client_info(client(client_secret="new", client_secret_expires_at=int(NOW) + 2 * DAY))
        assert (await storage.get_client_info() or client()).client_secret == "new"

    asyncio.run(check())


@pytest.mark.parametrize(
    ("registered", "callback_url", "served"),
    [
        (["http://localhost/cb"], "", True),
        (["http://localhost/cb"], "http://localhost/cb", True),
        (["http://localhost/cb"], "https://app.example/cb", False),
        (["http://localhost/cb"], "http://localhost/other", False),
        (["https://a.example/cb", "https://app.example/cb"], "https://app.example/cb", True),
        (["https://app.example/cb"], "https://APP.example:443/cb", True),
        (["https://app.example/cb"], "https://app.example:8443/cb", False),
        (["http://127.0.0.1:5000/cb"], "http://127.0.0.1:6000/cb", True),
        (["http://localhost:5000/cb"], "http://127.0.0.1:5000/cb", False),
        (["cursor://callback"], "cursor://callback", True),
        (["cursor://callback"], "no URL at all", False),
        (None, "https://app.example/cb", True),
    ],
)
def test_a_client_of_other_redirect_uris_is_withheld(
    registered: list[str] | None, callback_url: str, served: bool
) -> None:
    async def check() -> None:
        storage = await opened([NOW], callback_url=callback_url)
        await storage.set_client_info(client(redirect_uris=registered))
        assert (await storage.get_client_info() is not None) is served

    asyncio.run(check())


@pytest.mark.parametrize(
    ("issuer", "handed_out"),
    [
        ("https://mcp.example", True),
        ("https://mcp.example/", True),
        ("HTTPS://mcp.example:443/tenant", True),
        ("https://auth.example", False),
        ("https://mcp.example:8443", False),
        ("http://mcp.example", False),
        ("https://mcp.example@auth.example", False),
        (None, False),
    ],
)
def test_a_refresh_token_of_another_origin_is_withheld(issuer: str | None, handed_out: bool) -> None:
    """The SDK would send it, and the client's secret, to the MCP server's own ``/token``."""

    async def check() -> None:
        clock = [NOW]
        storage = await opened(clock)
        await storage.set_client_info(client(issuer=issuer))
        await storage.set_tokens(OAuthToken(access_token="a", refresh_token="r", expires_in=300))
        assert await storage.get_tokens() == OAuthToken(access_token="a", refresh_token="r", expires_in=300)
        clock[0] += 300
        tokens = await storage.get_tokens()
        assert tokens == (OAuthToken(access_token="", refresh_token="r", expires_in=0) if handed_out else None)

    asyncio.run(check())


def test_a_refresh_token_that_has_expired_is_withheld() -> None:
    """Another program stored when the refresh token expires."""

    async def check() -> None:
        clock = [NOW]
        storage = await opened(clock)
        await storage.set_client_info(client(issuer="https://mcp.example"))
        stored = {"access_token": "a", "token_type": "Bearer", "refresh_token": "r"}
        stored |= {"expires_in": 300, "expires_at": NOW + 300, "refresh_expires_at": NOW + DAY}
        await storage.session.backend.update_session("alice", storage.session_id, {"tokens": stored}, 365 * DAY)
        assert (await storage.get_tokens() or OAuthToken(access_token="")).refresh_token == "r"
        clock[0] += 300
        assert (await storage.get_tokens() or OAuthToken(access_token="")).refresh_token == "r"
        clock[0] += DAY
        assert await storage.get_tokens() is None

    asyncio.run(check())


def test_the_log_says_why_a_client_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        storage = await opened([NOW])
        await storage.set_client_info(client(client_secret="the-secret", client_secret_expires_at=1))
        await storage.get_client_info()

    with caplog.at_level("INFO", "reference_backends"):
        asyncio.run(check())
    assert "its secret has expired" in caplog.text
    assert "the-secret" not in caplog.text
