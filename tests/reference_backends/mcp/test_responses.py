"""Answers in the forms of real authorization servers."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.responses import Response

from reference_backends import MemoryStorageBackend
from reference_backends.core.validation import LONGEST_TTL
from reference_backends.mcp import SessionTokenStorage
from reference_backends.mcp.responses import parse, refresh_lifetime, registration_answer, seconds, token_answer
from tests.reference_backends.mcp.servers import LIFETIME, Browser, greeting, provider, servers

LOGIN = ["register", "authorize", "exchange"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3600, 3600),
        ("3600", 3600),
        (" 3600 ", 3600),
        (3599.5, 3599.5),
        ("3599.5", 3599.5),
        (10**400, LONGEST_TTL),
        ("9" * 400, LONGEST_TTL),
        (2**63 - 1, LONGEST_TTL),
        (0, None),
        ("0", None),
        (-1, None),
        (-(10**400), None),
        ("", None),
        ("never", None),
        ("nan", None),
        (float("inf"), LONGEST_TTL),
        (True, None),
        (None, None),
        ([3600], None),
        ({"seconds": 3600}, None),
    ],
)
def test_a_lifetime(value: object, expected: float | None) -> None:
    assert seconds(value) == expected
    token = OAuthToken.model_validate(token_answer({"access_token": "a", "expires_in": value}))
    assert token.expires_in == (None if expected is None else int(expected))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"scope": ["a", "b"]}, {"scope": "a b"}),
        ({"scope": []}, {"scope": None}),
        ({"scope": "repo,gist"}, {"scope": "repo,gist"}),
        ({"scope": {"a": 1}}, {"scope": None}),
        ({"scope": None, "refresh_token": None, "token_type": None}, {"refresh_token": None}),
        ({"refresh_token": "", "token_type": ""}, {"refresh_token": None}),
        ({"token_type": "bearer"}, {"token_type": "Bearer"}),
        ({"id_token": "x", "userinfo": {"a": [1]}, "not-before-policy": 0}, {}),
        ({"expires_in": 0.5}, {"expires_in": 1}),
    ],
)
def test_a_token_answer(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    token = OAuthToken.model_validate(token_answer({"access_token": "a"} | answer))
    assert token.access_token == "a"
    assert {name: getattr(token, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"refresh_expires_in": 1800}, 1800),
        ({"refresh_token_expires_in": "15897600"}, 15897600),
        ({"refresh_expires_in": 0, "refresh_token_expires_in": 5}, 5),
        ({"refresh_expires_in": 0}, None),
        ({}, None),
    ],
)
def test_the_lifetime_of_a_refresh_token(answer: dict[str, Any], expected: float | None) -> None:
    assert refresh_lifetime(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"client_secret_expires_at": "0"}, {"client_secret_expires_at": None}),
        ({"client_secret_expires_at": "1893456000"}, {"client_secret_expires_at": 1893456000}),
        ({"client_secret_expires_at": 1893456000.7}, {"client_secret_expires_at": 1893456000}),
        ({"client_secret_expires_at": "2030-01-01T00:00:00Z"}, {"client_secret_expires_at": None}),
        ({"client_id_issued_at": "2026-01-01"}, {"client_id_issued_at": None}),
        ({"client_id": 17}, {"client_id": "17"}),
        ({"scope": ["a", "b"]}, {"scope": "a b"}),
        ({"contacts": "me@example.org"}, {"contacts": None}),
        ({"redirect_uris": "http://localhost/cb"}, {"redirect_uris": None}),
        ({"redirect_uris": []}, {"redirect_uris": []}),
        ({"redirect_uris": ["no URL"]}, {"redirect_uris": None}),
        ({"logo_uri": "", "tos_uri": "no URL"}, {"logo_uri": None, "tos_uri": None}),
        ({"grant_types": None}, {"grant_types": ["authorization_code", "refresh_token"]}),
        ({"grant_types": "authorization_code"}, {"grant_types": ["authorization_code", "refresh_token"]}),
        ({"application_type": None, "software_id": 5}, {"software_id": None}),
        ({"token_endpoint_auth_method": ["x"]}, {"token_endpoint_auth_method": None}),
        ({"client_secret": "s"}, {"token_endpoint_auth_method": "client_secret_basic"}),
    ],
)
def test_a_registration(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    client = OAuthClientInformationFull.model_validate(registration_answer({"client_id": "c"} | answer, None, None))
    assert {name: getattr(client, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("requested", "supported", "expected"),
    [
        (None, None, "client_secret_basic"),
        (None, ["client_secret_post", "none"], "client_secret_post"),
        (None, ["private_key_jwt"], "client_secret_basic"),
        ("client_secret_post", ["client_secret_basic"], "client_secret_post"),
    ],
)
def test_a_secret_without_a_method_gets_one(requested: str | None, supported: list[str] | None, expected: str) -> None:
    answer = registration_answer({"client_id": "c", "client_secret": "s"}, requested, supported)
    assert answer["token_endpoint_auth_method"] == expected


def test_a_registration_without_an_id_stays_one() -> None:
    """The SDK reports it."""
    assert registration_answer({"client_id": ["x"], "scope": "a"}, None, None) == {"client_id": ["x"], "scope": "a"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"access_token": "a"}', {"access_token": "a"}),
        (b"access_token=a&scope=repo%2Cgist&token_type=bearer", {"access_token": "a", "scope": "repo,gist",
                                                                "token_type": "bearer"}),
        (b'["a"]', None),
        (b"<html>", None),
        (b"", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
    ],
)  # fmt: skip
def test_a_body(body: bytes, expected: dict[str, Any] | None) -> None:
    assert parse(body) == expected


def form(answer: dict[str, Any]) -> Response:
    return Response(urlencode(answer), media_type="application/x-www-form-urlencoded")


TOKENS = {
    "expires_in as text": lambda answer: answer | {"expires_in": "3600"},
    "expires_in with a fraction": lambda answer: answer | {"expires_in": 3599.99},
    "expires_in missing": lambda answer: {name: value for name, value in answer.items() if name != "expires_in"},
    "expires_in 0": lambda answer: answer | {"expires_in": 0},
    "expires_in huge": lambda answer: answer | {"expires_in": 10**400},
    "expires_in never": lambda answer: answer | {"expires_in": "never"},
    "scopes as a list": lambda answer: answer | {"scope": ["a", "b"]},
    "token type missing": lambda answer: answer | {"token_type": None},
    "token type in small letters": lambda answer: answer | {"token_type": "bearer"},
    "more fields": lambda answer: answer | {"id_token": "x", "user": {"a": [1, None]}, "refresh_expires_in": 0},
    "a form": form,
    "status 201": lambda answer: Response(json.dumps(answer), 201, media_type="text/plain"),
}
REGISTRATIONS = {
    "odd values": lambda answer: answer | {"contacts": "x", "scope": ["a"], "client_id_issued_at": "now", "jwks": 5},
    "no method": lambda answer: answer | {"token_endpoint_auth_method": None},
    "placeholders": lambda answer: answer | {"logo_uri": "", "tos_uri": None, "client_secret_expires_at": "0"},
    "no redirect_uris": lambda answer: answer | {"redirect_uris": None},
}


@pytest.mark.parametrize("how", [*TOKENS, *REGISTRATIONS])
def test_a_login_and_a_refresh(how: str) -> None:
    """The SDK's client signs in, and refreshes without the user, for each form of the answers."""

    def alter(path: str, answer: dict[str, Any]) -> Any:
        given = TOKENS if path == "/token" else REGISTRATIONS if path == "/register" else {}
        return given[how](answer) if how in given else None

    async def check() -> None:
        ahead = 0
        clock = lambda: time.time() + ahead  # noqa: E731
        backend = MemoryStorageBackend(encryption_key="5e" * 32, clock=clock)
        await backend.init()
        async with servers(alter=alter) as setting:
            storage = SessionTokenStorage(backend, "alice", setting.url, clock=clock)
            for number in range(3):
                browser = Browser()
                assert await greeting(setting.url, provider(setting.url, storage, browser)) == "hello alice"
                assert setting.authorization.done == [*LOGIN, *["refresh"] * number]
                setting.authorization.access.clear()
                ahead += LIFETIME

    asyncio.run(check())


@pytest.mark.parametrize("field", ["refresh_expires_in", "refresh_token_expires_in"])
def test_a_refresh_token_that_has_expired_is_not_sent(field: str) -> None:
    def alter(path: str, answer: dict[str, Any]) -> Any:
        return answer | {field: 2 * LIFETIME} if path == "/token" else None

    async def check() -> None:
        ahead = 0
        clock = lambda: time.time() + ahead  # noqa: E731
        backend = MemoryStorageBackend(encryption_key="5e" * 32, clock=clock)
        await backend.init()
        async with servers(alter=alter) as setting:
            storage = SessionTokenStorage(backend, "alice", setting.url, clock=clock)
            for pause, expected in ((0, LOGIN), (LIFETIME, ["refresh"]), (2 * LIFETIME, LOGIN[1:])):
                ahead += pause
                if pause:
                    setting.authorization.access.clear()
                setting.authorization.done.clear()
                await greeting(setting.url, provider(setting.url, storage, Browser()))
                assert setting.authorization.done == expected

    asyncio.run(check())


@pytest.mark.parametrize(
    ("status", "body", "done"),
    [
        (400, {"error": "invalid_grant"}, LOGIN[1:]),
        (200, {"error": "bad_refresh_token", "error_description": "as GitHub does"}, LOGIN[1:]),
        (400, {"message": "no such token"}, LOGIN[1:]),
        (403, {"error": "unauthorized_client"}, LOGIN),
        (401, {"error": "invalid_client"}, LOGIN),
        (200, {"nothing": "useful"}, LOGIN[1:]),
        (403, {}, None),
        (400, {"error": "temporarily_unavailable"}, None),
        (429, {"error": "slow_down"}, None),
        (500, {"error": "server_error"}, None),
    ],
)
def test_which_refusals_need_a_login(status: int, body: dict[str, Any], done: list[str] | None) -> None:
    """``None``: the login is kept, and the caller gets an error."""
    refuse = False

    def alter(path: str, answer: dict[str, Any]) -> Any:
        nonlocal refuse
        if path != "/token" or not refuse:
            return None
        refuse = False
        return Response(json.dumps(body), status, media_type="application/json")

    async def check() -> None:
        nonlocal refuse
        backend = MemoryStorageBackend(encryption_key="5e" * 32)
        await backend.init()
        async with servers(alter=alter) as setting:
            storage = SessionTokenStorage(backend, "alice", setting.url)
            auth = provider(setting.url, storage, Browser())
            await greeting(setting.url, auth)
            setting.authorization.access.clear()
            setting.authorization.done.clear()
            refuse = True
            kept = await storage.get_tokens() or OAuthToken(access_token="")
            if done is None:
                with pytest.raises(ExceptionGroup):
                    await greeting(setting.url, auth)
                assert setting.authorization.done == ["refresh"]
                assert (await storage.get_tokens() or kept).refresh_token == kept.refresh_token is not None
            else:
                setting.authorization.refresh.clear()
                await greeting(setting.url, auth)
                assert setting.authorization.done == done

    asyncio.run(check())
