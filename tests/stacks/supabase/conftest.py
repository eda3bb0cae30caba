"""One native stack for these tests, and a separate store for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer

Rest = Callable[..., httpx.Response]

ROW = {
    "session_id": "s1",
    "user_id": "alice",
    "identity": "alice",
    "server_url": "https://mcp.example",
    "transport_type": "sse",
    "callback_url": "https://app.example/callback",
    "expires_at": "2099-01-01T00:00:00Z",
}


def listed(answer: httpx.Response) -> list[str]:
    """Return the session ids of an answer, which must be rows."""
    assert answer.status_code == 200, answer.text
    return [row["session_id"] for row in answer.json()]


@pytest.fixture(scope="session")
def server() -> Iterator[SupervisedServer]:
    with native.start() as server:
        yield server


@pytest.fixture
def stack(server: SupervisedServer) -> Iterator[SupabaseStack]:
    stack = server.store()
    yield stack
    server.drop(stack)


@pytest.fixture
def database(stack: SupabaseStack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(str(stack.database_url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def rest() -> Rest:
    """Ask a stack for a path under ``/rest/v1``, with its service key unless another is given."""

    def ask(
        stack: SupabaseStack,
        path: str,
        *,
        method: str = "GET",
        key: str | None = None,
        user: str | None = None,
        **more: Any,
    ) -> httpx.Response:
        headers = {"apikey": key or str(stack.service_role_key), **more.pop("headers", {})}
        if user is not None:
            headers["Authorization"] = f"Bearer {user}"
        return httpx.request(method, f"{stack.url}/rest/v1/{path}", headers=headers, timeout=30, **more)

    return ask
