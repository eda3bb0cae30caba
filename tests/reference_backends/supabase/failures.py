"""Handles on a server that refuses, every call of theirs, and how a failure must look."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from supabase import AsyncClientOptions, acreate_client

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
    url: str, key: str, *, time_limit: float = 30, seal_all: bool = False, **headers: str
) -> AsyncIterator[SupabaseStorageBackend]:
    """A backend as one that was initialised earlier, on a client as patient as supabase-py's own."""
    async with httpx.AsyncClient(timeout=120, follow_redirects=True) as http:
        client = await acreate_client(url, key, AsyncClientOptions(httpx_client=http, headers=headers))
        backend = SupabaseStorageBackend(client, encryption_key=KEY, time_limit=time_limit, seal_all=seal_all)
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
    told = "".join(traceback.format_exception(error)) + repr(error)
    for secret in (SECRET, KEY, backend._client.supabase_key):
        assert secret not in told


@asynccontextmanager
async def answering(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()
