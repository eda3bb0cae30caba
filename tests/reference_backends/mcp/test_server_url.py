"""One session for one server, however its URL is spelled; sessions of another spelling are found."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from reference_backends import DecryptionError, MemoryStorageBackend, SessionData, StorageError
from reference_backends.mcp import SessionTokenStorage
from reference_backends.mcp.server_url import canonical, origin

CANONICAL = "https://mcp.example/v1/mcp"
SPELLINGS = [
    CANONICAL,
    "https://mcp.example/v1/mcp/",
    "https://mcp.example:443/v1/mcp",
    "HTTPS://MCP.Example/v1/mcp",
    "https://mcp.example/v1/%6dcp",
    "https://mcp.example/v1/x/../mcp",
    "https://mcp.example/v1/./mcp#part",
    " https://mcp.example/v1/mcp ",
]
OTHERS = [
    "http://mcp.example/v1/mcp",
    "https://mcp.example:8443/v1/mcp",
    "https://mcp.example/V1/mcp",
    "https://mcp.example/v1/mcp?tenant=a",
    "https://mcp.example/v1/mcp?tenant=b",
    "https://mcp.example/v1%2Fmcp",
    "https://mcp.example.org/v1/mcp",
    "https://alice@mcp.example/v1/mcp",
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_every_spelling_has_one_normal_form(url: str) -> None:
    assert canonical(url) == CANONICAL
    assert canonical(canonical(url)) == canonical(url)


def test_different_servers_differ() -> None:
    assert len({canonical(url) for url in [CANONICAL, *OTHERS]}) == len(OTHERS) + 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://mcp.example", "https://mcp.example"),
        ("https://mcp.example/", "https://mcp.example"),
        ("https://bücher.example/mcp", "https://xn--bcher-kva.example/mcp"),
        ("http://[::1]:80/mcp", "http://[::1]/mcp"),
        ("https://mcp.example/a%2fb%7e", "https://mcp.example/a%2Fb~"),
        ("https://mcp.example/mcp?q=%61%26#x", "https://mcp.example/mcp?q=a%26"),
        ("my server", "my server"),
        ("stdio:server", "stdio:server"),
        ("", ""),
    ],
)
def test_the_normal_form(url: str, expected: str) -> None:
    assert canonical(url) == expected


def test_the_origin_has_no_user_and_no_default_port() -> None:
    assert origin("HTTPS://alice:secret@MCP.example:443/mcp?x=1") == "https://mcp.example"
    assert origin("http://mcp.example:8080") == "http://mcp.example:8080"


async def memory() -> MemoryStorageBackend:
    backend = MemoryStorageBackend(encryption_key="f" * 64)
    await backend.init()
    return backend


def test_every_spelling_finds_the_same_session() -> None:
    async def check() -> None:
        backend = await memory()
        for url in SPELLINGS:
            storage = SessionTokenStorage(backend, "alice", url)
            await storage.set_tokens(OAuthToken(access_token=url))
            assert await SessionTokenStorage(backend, "alice", CANONICAL).get_tokens() == OAuthToken(access_token=url)
        assert len(await backend.get_all_session_ids()) == 1
        for url in OTHERS:
            assert await SessionTokenStorage(backend, "alice", url).get_tokens() is None

    asyncio.run(check())


def as_before(url: str, identity: str = "alice", created_at: int = 1, **fields: object) -> SessionData:
    """Return the session that release 0.1.0 stored for this spelling of a URL."""
    digest = hashlib.sha256(json.dumps([identity, url]).encode()).hexdigest()
    return SessionData(
        session_id=f"mcp{digest[:40]}",
        identity=identity,
        server_url=url,
        transport_type="streamable_http",
        callback_url="",
        created_at=created_at,
        **{"tokens": {"access_token": url, "token_type": "Bearer"}, **fields},
    )


@pytest.mark.parametrize("before", SPELLINGS)
@pytest.mark.parametrize("now", [CANONICAL, SPELLINGS[3]])
def test_a_session_of_another_spelling_is_found(before: str, now: str) -> None:
    async def check() -> None:
        backend = await memory()
        client = {"client_id": "me", "redirect_uris": ["http://localhost/cb"]}
        await backend.create_session(as_before(before, client_information=client))
        await backend.create_session(as_before("https://other.example"))
        await backend.create_session(as_before("https://mcp.example/v1/mcp/", identity="bob"))
        storage = SessionTokenStorage(backend, "alice", now)
        assert await storage.get_tokens() == OAuthToken(access_token=before)
        found = await storage.get_client_info()
        assert found is not None
        assert found.client_id == "me"
        assert len(await backend.get_identity_mcp_sessions("alice")) == 2
        assert len(await backend.get_identity_mcp_sessions("bob")) == 1

    asyncio.run(check())


def test_a_write_keeps_what_another_spelling_stored() -> None:
    async def check() -> None:
        backend = await memory()
        client = {"client_id": "me", "redirect_uris": ["http://localhost/cb"]}
        await backend.create_session(as_before(SPELLINGS[1], client_information=client))
        storage = SessionTokenStorage(backend, "alice", CANONICAL)
        await storage.set_tokens(OAuthToken(access_token="new"))
        assert isinstance(await storage.get_client_info(), OAuthClientInformationFull)
        assert await storage.get_tokens() == OAuthToken(access_token="new")
        assert await backend.get_all_session_ids() == [storage.session_id]

    asyncio.run(check())


def test_the_newest_of_several_spellings_is_used() -> None:
    async def check() -> None:
        backend = await memory()
        for created_at, url in enumerate(SPELLINGS[1:5]):
            await backend.create_session(as_before(url, created_at=created_at))
        await backend.create_session(as_before(SPELLINGS[5], created_at=9, tokens=None))
        storages = [SessionTokenStorage(backend, "alice", url) for url in SPELLINGS]
        found = await asyncio.gather(*(storage.get_tokens() for storage in storages))
        assert found == [OAuthToken(access_token=SPELLINGS[4])] * len(SPELLINGS)
        assert await backend.get_all_session_ids() == [storages[0].session_id]

    asyncio.run(check())


def test_forget_removes_every_spelling() -> None:
    async def check() -> None:
        backend = await memory()
        for url in SPELLINGS:
            await backend.create_session(as_before(url))
        await SessionTokenStorage(backend, "alice", CANONICAL).forget()
        assert await backend.get_all_session_ids() == []

    asyncio.run(check())


def test_a_session_that_cannot_be_read_stops_nothing() -> None:
    class Damaged(MemoryStorageBackend):
        async def get_session(self, identity: str, session_id: str) -> SessionData | None:
            if session_id == as_before("https://damaged.example").session_id:
                raise DecryptionError("damaged", session_id=session_id)
            return await super().get_session(identity, session_id)

    async def check() -> None:
        backend = Damaged(encryption_key="f" * 64)
        await backend.init()
        await backend.create_session(as_before("https://damaged.example"))
        await backend.create_session(as_before(SPELLINGS[1]))
        storage = SessionTokenStorage(backend, "alice", CANONICAL)
        assert await storage.get_tokens() == OAuthToken(access_token=SPELLINGS[1])

    asyncio.run(check())


def test_a_session_of_another_server_is_refused() -> None:
    """The application chose the id. Otherwise the tokens would be sent to another server."""

    async def check() -> None:
        backend = await memory()
        await SessionTokenStorage(backend, "alice", CANONICAL, session_id="mine").set_tokens(
            OAuthToken(access_token="the-secret")
        )
        same = SessionTokenStorage(backend, "alice", "https://MCP.example:443/sse", session_id="mine")
        assert await same.get_tokens() == OAuthToken(access_token="the-secret")
        other = SessionTokenStorage(backend, "alice", "https://evil.example/v1/mcp", session_id="mine")
        for call in other.get_tokens, other.get_client_info:
            with pytest.raises(StorageError, match=r"of https://mcp\.example, not of https://evil\.example"):
                await call()

    asyncio.run(check())
