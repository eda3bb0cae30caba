"""Handles on a server that refuses requests, all their calls, and the form of the errors."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from supabase import AsyncClientOptions, acreate_client

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends import SessionData, StorageError, SupabaseStorageBackend

KEY = "00112233445566778899aabbccddeeff" * 2
SECRET = "a-token-that-nobody-may-see"
SESSION = SessionData(
    session_id="s1",
    identity="alice",
    server_url="https://mcp.example",
    transport_type="sse",
    callback_url="https://app.example/callback",
    created_at=0,
    tokens={"access_token": SECRET},
    code_verifier=SECRET,
)
CALLS: dict[str, Callable[[SupabaseStorageBackend], Awaitable[Any]]] = {
    "init": lambda backend: backend.init(),
    "create": lambda backend: backend.create_session(SESSION),
    "update": lambda backend: backend.update_session("alice", "s1", {"tokens": {"access_token": SECRET}}),
    "get": lambda backend: backend.get_session("alice", "s1"),
    "list": lambda backend: backend.get_identity_sessions_data("alice"),
    "list ids": lambda backend: backend.get_identity_mcp_sessions("alice"),
    "remove": lambda backend: backend.remove_session("alice", "s1"),
    "all ids": lambda backend: backend.get_all_session_ids(),
    "clear": lambda backend: backend.clear_all(),
    "clean up": lambda backend: backend.cleanup_expired_sessions(),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@asynccontextmanager
async def backend_at(
    url: str,
    key: str,
    *,
    time_limit: float = 30,
    seal_all: bool = False,
    api_key: Callable[[], str] | None = None,
    **headers: str,
) -> AsyncIterator[SupabaseStorageBackend]:
    """Return an open backend without a call of ``init``, on a client with the timeout of supabase-py."""
    async with httpx.AsyncClient(timeout=120, follow_redirects=True) as http:
        client = await acreate_client(url, key, AsyncClientOptions(httpx_client=http, headers=headers))
        backend = SupabaseStorageBackend(
            client, encryption_key=KEY, time_limit=time_limit, seal_all=seal_all, api_key=api_key
        )
        backend._open = True
        yield backend


async def fails(
    call: Callable[[SupabaseStorageBackend], Awaitable[Any]],
    backend: SupabaseStorageBackend,
    kind: type[StorageError],
    remedy: str,
) -> None:
    with pytest.raises(StorageError) as raised:
        await call(backend)
    error = raised.value
    assert type(error) is kind, error
    assert remedy in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    reported = "".join(traceback.format_exception(error)) + repr(error)
    for secret in (SECRET, KEY, backend._client.supabase_key):
        assert secret not in reported


@asynccontextmanager
async def answering(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


Judge = Callable[[web.BaseRequest, dict[str, str]], web.Response | None]


def forwarding(
    stack: SupabaseStack, judge: Judge = lambda request, headers: None, *, without: tuple[str, ...] = ()
) -> AbstractAsyncContextManager[str]:
    """Run a gateway in front of a stack. ``judge`` may change the headers that are passed on, or return an answer.

    Only the headers for type and range of an answer are passed on, and none that is in ``without``.
    """

    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        if (refusal := judge(request, headers)) is not None:
            return refusal
        async with httpx.AsyncClient(timeout=30) as http:
            url = f"{stack.url}{request.path_qs}"
            sent = await http.request(request.method, url, headers=headers, content=await request.read())
        kept = {"content-type", "content-range"} - set(without)
        passed = {name: sent.headers[name] for name in kept if name in sent.headers}
        return web.Response(status=sent.status_code, headers=passed, body=sent.content)

    return answering(forward)
