"""``SessionOAuthProvider`` between the SDK's real client and real servers; the authorization server is elsewhere."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import MCPError
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthToken

from reference_backends import (
    ConfigurationError,
    MemoryStorageBackend,
    SessionData,
    SqliteStorageBackend,
    StorageUnavailableError,
)
from reference_backends.mcp import SessionOAuthProvider, SessionTokenStorage, account, refresh_lock
from tests.reference_backends.mcp.servers import (
    LIFETIME,
    Browser,
    Setting,
    connected,
    greeting,
    provider,
    servers,
)

KEY = "00112233445566778899aabbccddeeff" * 2
LOGIN = ["register", "authorize", "exchange"]


class Clock:
    """The time of the store and the provider."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@asynccontextmanager
async def opened(folder: Path, url: str, clock: Clock, **options: object) -> AsyncIterator[SessionTokenStorage]:
    """Return the storage as a new process would open it."""
    backend = SqliteStorageBackend(folder / "sessions.db", encryption_key=KEY, clock=clock)
    await backend.init()
    try:
        yield SessionTokenStorage(backend, "alice", url, clock=clock, **options)
    finally:
        await backend.disconnect()


async def in_a_new_process(folder: Path, setting: Setting, clock: Clock, browser: Browser, **options: object) -> str:
    async with opened(folder, setting.url, clock) as storage:
        return await greeting(setting.url, provider(setting.url, storage, browser, **options))


def test_a_login_survives_restarts_for_a_year(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting:
            done = setting.authorization.done
            assert await in_a_new_process(tmp_path, setting, clock, browser) == "hello alice"
            assert done == LOGIN
            assert await in_a_new_process(tmp_path, setting, clock, browser) == "hello alice"
            assert done == LOGIN
            for pause in (LIFETIME, 13 * 3600, 100 * 86400, 364 * 86400):
                clock.ahead += pause
                setting.authorization.access.clear()
                assert await in_a_new_process(tmp_path, setting, clock, browser) == "hello alice"
                assert done.pop() == "refresh"
                assert done == LOGIN
            clock.ahead += 366 * 86400
            assert await in_a_new_process(tmp_path, setting, clock, browser) == "hello alice"
            assert done == LOGIN * 2
            stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
            for secret in [*setting.authorization.refresh, *setting.authorization.access]:
                assert secret.encode() not in stored

    asyncio.run(check())


def test_no_secret_goes_to_the_mcp_server(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting:
            await in_a_new_process(tmp_path, setting, clock, browser)
            clock.ahead += LIFETIME
            await in_a_new_process(tmp_path, setting, clock, browser)
            refreshes = [body for _, path, body, _ in setting.answers.requests if b"refresh_token=" in body]
            assert len(refreshes) == 1
            assert b"client_secret=" in refreshes[0]
            assert b"resource=" in refreshes[0]
            # The MCP server does not have the path: a request to it would have made a login necessary.
            assert browser.logins == 1

    asyncio.run(check())


def test_tokens_are_refreshed_before_they_expire(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            async with connected(setting.url, provider(setting.url, storage, browser, refresh_before=100)) as greet:
                await greet()
                clock.ahead += LIFETIME - 200
                await greet()
                assert setting.authorization.done == LOGIN
                clock.ahead += 110
                await greet()
                assert setting.authorization.done == [*LOGIN, "refresh"]
            assert browser.logins == 1

    asyncio.run(check())


@pytest.mark.parametrize("known", [True, False], ids=["expiry known", "expiry unknown"])
def test_a_token_that_ends_in_flight_is_refreshed(tmp_path: Path, known: bool) -> None:
    """The server refuses a token that looks valid here. The SDK alone opens the browser."""

    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            setting.authorization.lifetime = LIFETIME if known else None
            async with connected(setting.url, provider(setting.url, storage, browser)) as greet:
                await greet()
                for number in 1, 2, 3:
                    setting.authorization.access.clear()
                    assert await greet() == "hello alice"
                    assert setting.authorization.done == [*LOGIN, *["refresh"] * number]
            setting.authorization.access.clear()
            await greeting(setting.url, provider(setting.url, storage, browser))
            assert browser.logins == 1

    asyncio.run(check())


def test_a_process_takes_the_tokens_that_another_has_refreshed(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with (
            servers() as setting,
            opened(tmp_path, setting.url, clock) as one,
            opened(tmp_path, setting.url, clock) as other,
            connected(setting.url, provider(setting.url, one, browser)) as greet_one,
            connected(setting.url, provider(setting.url, other, browser)) as greet_other,
        ):
            for number in range(1, 6):
                setting.authorization.access.clear()
                assert await asyncio.gather(greet_one(), greet_other()) == ["hello alice"] * 2
                assert setting.authorization.done == [*LOGIN, *["refresh"] * number]
            assert browser.logins == 1

    asyncio.run(check())


def test_the_user_signs_in_again_once_the_refresh_token_is_refused(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            auth = provider(setting.url, storage, browser)
            await greeting(setting.url, auth)
            setting.authorization.refresh.clear()
            setting.authorization.access.clear()
            await greeting(setting.url, auth)
            assert setting.authorization.done == [*LOGIN, "authorize", "exchange"]
            setting.authorization.clients.clear()
            setting.authorization.access.clear()
            await greeting(setting.url, auth)
            assert setting.authorization.done == [*LOGIN, "authorize", "exchange", *LOGIN]

    asyncio.run(check())


def test_a_failing_authorization_server_does_not_cost_the_login(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            async with connected(setting.url, provider(setting.url, storage, browser)) as greet:
                await greet()
                setting.answers.down = True
                clock.ahead += LIFETIME - 30
                assert await greet() == "hello alice", "the old token serves for half a minute"
                asked = len(setting.answers.requests)
                assert await greet() == "hello alice"
                assert len(setting.answers.requests) == asked, "the next attempt comes ten seconds later"
                clock.ahead += 60
                setting.authorization.access.clear()
                with pytest.raises(MCPError, match="error response"):
                    await greet()
                assert "answered a refresh with status 503; the login is kept" in caplog.text
                setting.answers.down = False
                clock.ahead += 10
                assert await greet() == "hello alice", "the connection has survived as well"
            assert setting.authorization.done == [*LOGIN, "refresh"]

    asyncio.run(check())


def test_an_authorization_server_that_is_away_does_not_cost_the_login(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            auth = provider(setting.url, storage, browser)
            await greeting(setting.url, auth)
            session = await storage.session.read()
            assert session is not None
            assert session.tokens is not None
            away = session.tokens["authorization_server"] | {"token_endpoint": "http://127.0.0.1:9/token"}
            await storage.session.update({"tokens": session.tokens | {"authorization_server": away}})
            setting.authorization.access.clear()
            async with httpx2.AsyncClient(auth=auth) as client:
                with pytest.raises(httpx2.ConnectError):
                    await client.post(setting.url)
                assert (await client.post(setting.url)).status_code == 401
                await storage.session.update({"tokens": session.tokens})
                clock.ahead += 10
                assert (await client.post(setting.url)).status_code == 400, "authorized, but no message"
            assert browser.logins == 1

    asyncio.run(check())


def test_an_expired_client_secret_is_registered_anew(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()

        def expiring(path: str, answer: dict[str, object]) -> dict[str, object] | None:
            return answer | {"client_secret_expires_at": int(clock()) + 86400} if path == "/register" else None

        async with servers(alter=expiring) as setting:
            await in_a_new_process(tmp_path, setting, clock, browser)
            clock.ahead += 86400
            setting.authorization.access.clear()
            await in_a_new_process(tmp_path, setting, clock, browser)
            assert setting.authorization.done == LOGIN * 2

    asyncio.run(check())


def test_another_redirect_uri_is_registered_at_the_next_login(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        other = "http://localhost:4040/elsewhere"
        async with servers() as setting:
            await in_a_new_process(tmp_path, setting, clock, browser)
            setting.authorization.access.clear()
            await in_a_new_process(tmp_path, setting, clock, browser, callback=other)
            assert setting.authorization.done == [*LOGIN, "refresh"], "a refresh needs no redirect"
            setting.authorization.access.clear()
            setting.authorization.refresh.clear()
            await in_a_new_process(tmp_path, setting, clock, browser, callback=other)
            assert setting.authorization.done == [*LOGIN, "refresh", *LOGIN]

    asyncio.run(check())


def test_a_login_of_the_sdk_alone_is_taken_over(tmp_path: Path) -> None:
    """``SessionTokenStorage`` stores no authorization server; the issuer of the client leads to it."""

    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting:
            await in_a_new_process(tmp_path, setting, clock, browser, kind=OAuthClientProvider)
            clock.ahead += LIFETIME
            setting.authorization.access.clear()
            async with opened(tmp_path, setting.url, clock) as storage:
                assert await storage.get_tokens() is None, "it keeps the refresh token back"
            await in_a_new_process(tmp_path, setting, clock, browser)
            assert setting.authorization.done == [*LOGIN, "refresh"]

    asyncio.run(check())


def test_signing_out_in_one_process_signs_out_the_others(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            auth = provider(setting.url, storage, browser)
            await greeting(setting.url, auth)
            await storage.forget()
            setting.authorization.access.clear()
            await greeting(setting.url, auth)
            assert setting.authorization.done == LOGIN * 2

    asyncio.run(check())


def test_a_server_that_moved_to_another_issuer_asks_for_a_login(tmp_path: Path) -> None:
    """The old issuer does not answer any more; its refresh token is not sent to the new one."""

    async def check() -> None:
        clock, browser = Clock(), Browser()
        gone = "http://127.0.0.1:9"
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            await greeting(setting.url, provider(setting.url, storage, browser))
            session = await storage.session.read()
            assert session is not None
            moved = json.loads(session.model_dump_json(include={"tokens", "client_information"}).replace(
                setting.issuer, gone))  # fmt: skip
            await storage.session.update(moved)
            setting.authorization.access.clear()
            auth = provider(setting.url, storage, browser)
            async with httpx2.AsyncClient(auth=auth) as client:
                with pytest.raises(httpx2.ConnectError):
                    await client.post(setting.url)
            setting.answers.requests.clear()
            assert await greeting(setting.url, auth) == "hello alice"
            assert setting.authorization.done == LOGIN * 2
            assert not any(
                session.tokens["refresh_token"].encode() in body for _, _, body, _ in setting.answers.requests
            )

    asyncio.run(check())


def test_a_token_endpoint_that_moved_is_found_again(tmp_path: Path) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            await greeting(setting.url, provider(setting.url, storage, browser))
            session = await storage.session.read()
            assert session is not None
            assert session.tokens is not None
            before = session.tokens["authorization_server"] | {"token_endpoint": f"{setting.issuer}/old/token"}
            await storage.session.update({"tokens": session.tokens | {"authorization_server": before}})
            setting.authorization.access.clear()
            await greeting(setting.url, provider(setting.url, storage, browser))
            assert setting.authorization.done == [*LOGIN, "refresh"]
            session = await storage.session.read()
            assert session is not None
            assert session.tokens is not None
            assert session.tokens["authorization_server"]["token_endpoint"] == f"{setting.issuer}/token"

    asyncio.run(check())


def test_a_request_that_is_cancelled_gives_the_lock_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        clock, browser = Clock(), Browser()
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            auth = provider(setting.url, storage, browser)
            await greeting(setting.url, auth)
            asked, answer = asyncio.Event(), asyncio.Event()

            async def slow(*given: object) -> None:
                asked.set()
                await answer.wait()

            setting.authorization.access.clear()
            with monkeypatch.context() as patch:
                patch.setattr(setting.authorization, "load_refresh_token", slow)
                waiting = asyncio.create_task(greeting(setting.url, auth))
                await asked.wait()
                sessions = await storage.session.backend.get_identity_mcp_sessions("alice")
                assert len(sessions) == 2, "the login, and the lock"
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                answer.set()
            sessions = await storage.session.backend.get_identity_mcp_sessions("alice")
            assert sessions == [storage.session_id]
            clock.ahead += 10
            assert await greeting(setting.url, auth) == "hello alice"
            assert browser.logins == 1

    asyncio.run(check())


class Failing(MemoryStorageBackend):
    """A store that is not available for the next ``fails`` calls."""

    fails = 0

    def failing(self) -> None:
        if self.fails:
            self.fails -= 1
            raise StorageUnavailableError("the store is away")

    async def create_session(self, *given: object, **named: object) -> None:
        self.failing()
        await super().create_session(*given, **named)

    async def update_session(self, *given: object, **named: object) -> None:
        self.failing()
        await super().update_session(*given, **named)

    async def get_session(self, *given: object, **named: object) -> SessionData | None:
        self.failing()
        return await super().get_session(*given, **named)


@asynccontextmanager
async def failing(clock: Clock) -> AsyncIterator[tuple[Failing, Setting, SessionTokenStorage, OAuthClientProvider]]:
    backend = Failing(encryption_key=KEY, clock=clock)
    await backend.init()
    async with servers() as setting:
        storage = SessionTokenStorage(backend, "alice", setting.url, clock=clock)
        yield backend, setting, storage, provider(setting.url, storage, Browser())


def test_tokens_that_cannot_be_stored_are_stored_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(account, "PAUSES", (0.0,))

    async def check() -> None:
        async with failing(Clock()) as (backend, setting, storage, auth):
            exchanged, issue = [], setting.authorization.issue

            def issued(*given: object) -> OAuthToken:
                exchanged.append(None)
                backend.fails = 2 if len(exchanged) < 3 else 1
                return issue(*given)

            monkeypatch.setattr(setting.authorization, "issue", issued)
            for number in range(4):
                setting.authorization.access.clear()
                assert await greeting(setting.url, auth) == "hello alice"
                assert backend.fails == 0
                assert ("could not be stored, the next request retries" in caplog.text) is (number < 2)
                caplog.clear()
                kept = await storage.get_tokens() or OAuthToken(access_token="")
                assert kept.refresh_token in setting.authorization.refresh
            assert setting.authorization.done == [*LOGIN, *["refresh"] * 3]

    asyncio.run(check())


def test_a_store_that_is_away_does_not_stop_a_valid_token(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        clock = Clock()
        async with failing(clock) as (backend, setting, _, auth), connected(setting.url, auth) as greet:
            clock.ahead += LIFETIME - 30
            backend.fails = 1
            assert await greet() == "hello alice"
            assert await greet() == "hello alice"
            assert "are not refreshed now: the store is away" in caplog.text
            assert setting.authorization.done == LOGIN
            clock.ahead += 10
            assert await greet() == "hello alice"
            assert setting.authorization.done == [*LOGIN, "refresh"]

    asyncio.run(check())


def test_the_lock_of_a_process_that_crashed_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, browser = Clock(), Browser()
    acquire, taken = refresh_lock.RefreshLock.acquire, []

    async def noted(self: refresh_lock.RefreshLock) -> bool:
        taken.append(await acquire(self))
        if taken == [False] * 3:
            clock.ahead += refresh_lock.LOCK_SECONDS
        return taken[-1]

    async def check() -> None:
        async with servers() as setting, opened(tmp_path, setting.url, clock) as storage:
            auth = provider(setting.url, storage, browser)
            await greeting(setting.url, auth)
            assert await acquire(refresh_lock.RefreshLock(storage.session))
            monkeypatch.setattr(refresh_lock.RefreshLock, "acquire", noted)
            setting.authorization.access.clear()
            assert await greeting(setting.url, auth) == "hello alice"
            assert taken == [False, False, False, True]
            assert setting.authorization.done == [*LOGIN, "refresh"]
            sessions = await storage.session.backend.get_identity_mcp_sessions("alice")
            assert sessions == [storage.session_id], "the lock was given back"

    asyncio.run(check())


def test_a_storage_of_another_server_is_refused() -> None:
    async def check() -> None:
        storage = SessionTokenStorage(MemoryStorageBackend(), "alice", "https://one.example/mcp")
        with pytest.raises(ConfigurationError, match=r"of https://one\.example, not of https://two\.example"):
            provider("https://two.example/mcp", storage, Browser())
        assert isinstance(provider("https://ONE.example/sse", storage, Browser()), SessionOAuthProvider)

    asyncio.run(check())
