"""Error responses of gateways and servers. No stack here gives them, so a server of the test does."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiohttp import web

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends import (
    ConfigurationError,
    DecryptionError,
    SessionNotFoundError,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)
from tests.reference_backends.supabase.failures import (
    CALLS,
    SECRET,
    SESSION,
    answering,
    backend_at,
    calls,
    fails,
    forwarding,
)


def refusal(code: str, details: str | None = None) -> str:
    """Return an error body in PostgREST's form. It always has all four keys."""
    return json.dumps({"code": code, "details": details, "hint": None, "message": "refused"})


HTML, JSON = "text/html", "application/json"
ODD_ANSWERS = {
    "a web page": (200, HTML, "<html>hello</html>", StorageSetupError, "check SUPABASE_URL"),
    "another API": (200, JSON, '{"rows": []}', StorageSetupError, "check SUPABASE_URL"),
    "no rows": (200, JSON, "[1, 2]", StorageSetupError, "check SUPABASE_URL"),
    "not followed": (308, HTML, "<html>moved</html>", StorageSetupError, "check SUPABASE_URL"),
    "no such page": (404, HTML, "<html>not found</html>", StorageSetupError, "check SUPABASE_URL"),
    "no route": (404, JSON, '{"message": "no Route matched"}', StorageSetupError, "check SUPABASE_URL"),
    "no such method": (405, HTML, "<html>no</html>", StorageSetupError, "GET, POST, PATCH and DELETE"),
    "bad gateway": (502, HTML, "<html>bad gateway</html>", StorageUnavailableError, "try again"),
    "overload": (429, "text/plain", "slow down", StorageUnavailableError, "try again"),
    "overload in JSON": (429, JSON, '{"message": "API rate limit exceeded"}', StorageUnavailableError, "try again"),
    "paused": (540, "text/plain", "project paused", StorageUnavailableError, "try again"),
    "no database": (503, JSON, '{"message": "name resolution failed"}', StorageUnavailableError, "again"),
    "upstream down": (500, JSON, '{"error": "Internal"}', StorageUnavailableError, "again"),
    "an empty 500": (500, JSON, "{}", StorageUnavailableError, "again"),
    "a code that is none": (504, JSON, '{"code": "gateway_timeout"}', StorageUnavailableError, "again"),
    "a number for a code": (503, JSON, '{"code": 503, "msg": "down"}', StorageUnavailableError, "again"),
    "too large": (413, HTML, "<html>too large</html>", StorageError, "larger than"),
    "too long": (414, JSON, '{"message": "URI too long"}', StorageError, "larger than"),
    "read only": (405, JSON, refusal("25006"), StorageUnavailableError, "read-only"),
    "Kong's key-auth": (401, JSON, '{"message": "No API key found in request"}', ConfigurationError, "key"),
    "Kong, wrong key": (401, JSON, '{"message": "Invalid authentication credentials"}', ConfigurationError, "key"),
    "Kong's acl": (403, JSON, '{"message": "You cannot consume this service"}', ConfigurationError, "key"),
    "Auth": (401, JSON, '{"code": 401, "msg": "invalid JWT"}', ConfigurationError, "key"),
    "OAuth": (401, JSON, '{"error": "invalid_token", "error_description": "x"}', ConfigurationError, "key"),
    "Azure": (401, JSON, '{"error": {"code": "401", "message": "denied"}}', ConfigurationError, "key"),
    "an empty 401": (401, JSON, "{}", ConfigurationError, "key"),
    "a list": (401, JSON, '["denied"]', ConfigurationError, "key"),
    "a proxy's login": (407, HTML, "<html>log in</html>", ConfigurationError, "proxy"),
    "unpaid": (402, JSON, '{"message": "Service for this project is restricted"}', StorageSetupError, "Billing"),
    "forbidden": (403, HTML, "<html>forbidden</html>", ConfigurationError, "service role"),
    "a bad request": (400, JSON, '{"message": "bad"}', StorageError, "HTTP 400"),
    "a teapot": (418, "text/plain", SECRET, StorageError, "HTTP 418"),
    "another code": (400, JSON, refusal("XX000", SECRET), StorageError, "XX000"),
    "no such path": (404, JSON, refusal("PGRST125"), StorageSetupError, "check SUPABASE_URL"),
}


@pytest.mark.parametrize("odd", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_what_else_a_gateway_may_answer(odd: tuple[int, str, str, type[StorageError], str]) -> None:
    status, kind, body, error, remedy = odd

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, content_type=kind, text=body)

    async def check() -> None:
        async with answering(answer) as url, backend_at(url, "key-of-the-project") as backend:
            for call in CALLS.values():
                await fails(call, backend, error, remedy)

    asyncio.run(check())


def test_a_code_in_the_header_alone_counts() -> None:
    """PostgREST also sends its code in Proxy-Status. A gateway may replace the body by its own page."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        headers = {"Proxy-Status": 'cdn; received-status=404, PostgREST; error="PGRST205"'}
        return web.Response(status=400, headers=headers, content_type=HTML, text="<html></html>")

    async def check() -> None:
        async with answering(answer) as url, backend_at(url, "key-of-the-project") as backend:
            await fails(CALLS["get"], backend, StorageSetupError, "there is no table mcp_sessions")

    asyncio.run(check())


def without_prefer(stack: SupabaseStack, *, without: tuple[str, ...] = ()) -> AbstractAsyncContextManager[str]:
    """Run a gateway that removes the header Prefer from requests, and the headers ``without`` from answers."""

    def remove(request: web.BaseRequest, headers: dict[str, str]) -> None:
        for name in [name for name in headers if name.lower() == "prefer"]:
            del headers[name]

    return forwarding(stack, remove, without=without)


@pytest.mark.parametrize("seal_all", [False, True])
async def test_a_gateway_that_removes_prefer_changes_nothing(stack: SupabaseStack, seal_all: bool) -> None:
    """Without that header a write returns no rows. Their number is in another header."""
    async with (
        without_prefer(stack) as url,
        backend_at(url, str(stack.service_role_key), seal_all=seal_all) as backend,
    ):
        await backend.init()
        await backend.create_session(SESSION)
        await backend.update_session("alice", "s1", {"server_name": "named"})
        found = await backend.get_session("alice", "s1")
        assert found is not None
        assert found.server_name == "named"
        with pytest.raises(SessionNotFoundError):
            await backend.update_session("alice", "s2", {"server_name": "named"})
        assert await backend.get_identity_mcp_sessions("alice") == ["s1"]
        await backend.remove_session("alice", "s1")
        assert await backend.get_all_session_ids() == []


async def test_an_update_through_such_a_gateway_seals_what_is_in_clear(stack: SupabaseStack, backend_on: Any) -> None:
    async with (
        backend_on(stack) as plain,
        without_prefer(stack) as url,
        backend_at(url, str(stack.service_role_key)) as backend,
    ):
        await plain.create_session(SESSION.model_copy(update={"session_id": "clear"}))
        await backend.init()
        await backend.update_session("alice", "clear", {"server_name": "named"})
        with pytest.raises(DecryptionError):
            await plain.get_session("alice", "clear")


async def test_an_update_of_which_nothing_is_known_says_so(stack: SupabaseStack) -> None:
    async with (
        without_prefer(stack, without=("content-range",)) as url,
        backend_at(url, str(stack.service_role_key)) as backend,
    ):
        await backend.create_session(SESSION)
        await fails(CALLS["update"], backend, StorageSetupError, "Prefer and Content-Range")
        await backend.clear_all()


@calls
def test_redirections_without_end(call: Any) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": str(request.url)})

    async def check() -> None:
        async with answering(answer) as url, backend_at(url, "key-of-the-project") as backend:
            await fails(call, backend, StorageSetupError, "check SUPABASE_URL")

    asyncio.run(check())
