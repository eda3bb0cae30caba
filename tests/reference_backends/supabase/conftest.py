"""A native stack, stores on it, and handles of the Supabase store whose requests are recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends import SupabaseStorageBackend
from tests.stacks.supabase.conftest import server, stack

__all__ = ["server", "stack"]


class Wire:
    """The requests of a client. ``then`` is called after each answer, so that a test can act between two requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.then: Callable[[httpx.Request], Awaitable[None]] | None = None

    async def seen(self, response: httpx.Response) -> None:
        self.requests.append(response.request)
        if self.then is not None:
            await self.then(response.request)

    @property
    def methods(self) -> list[str]:
        """Return the methods of the requests since the last call."""
        methods = [request.method for request in self.requests]
        self.requests.clear()
        return methods


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def in_clear() -> dict[str, Any]:
    """Return a session with a secret in each field that may hold one. Each secret contains "clear"."""
    return {
        "tokens": {"access_token": "clear-token"},
        "headers": {"Authorization": "clear-header"},
        "code_verifier": "clear-verifier",
        "client_information": {"client_id": "me", "client_secret": "clear-secret"},
    }


@pytest.fixture
def small_pages(server: SupervisedServer) -> Iterator[SupabaseStack]:
    """Return a store whose server returns at most seven rows."""
    stack = server.store(max_rows=7)
    yield stack
    server.drop(stack)


@pytest.fixture
def sql(stack: SupabaseStack) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Return a function that runs a statement in the store's database, without PostgREST."""
    with psycopg.connect(str(stack.database_url), autocommit=True) as connection:

        def run(statement: str) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

        yield run


@asynccontextmanager
async def open_client(
    stack: SupabaseStack, wire: Wire | None = None, user: str | None = None
) -> AsyncIterator[AsyncClient]:
    hooks = {"response": [wire.seen]} if wire else {}
    key = str(stack.service_role_key if user is None else stack.anon_key)
    headers = {} if user is None else {"Authorization": f"Bearer {stack.token(user)}"}
    async with httpx.AsyncClient(event_hooks=hooks) as http:
        yield await acreate_client(stack.url, key, AsyncClientOptions(httpx_client=http, headers=headers))


@pytest.fixture
def client_of() -> Callable[..., AbstractAsyncContextManager[AsyncClient]]:
    """Return a function that makes a client of a stack, as the service role or as a user."""
    return open_client


@pytest.fixture
def backend_on() -> Callable[..., AbstractAsyncContextManager[SupabaseStorageBackend]]:
    """Return a function that opens a handle on a stack. The requests of ``init`` are not recorded."""

    @asynccontextmanager
    async def open_backend(
        stack: SupabaseStack, wire: Wire | None = None, **options: Any
    ) -> AsyncIterator[SupabaseStorageBackend]:
        async with open_client(stack, wire) as client:
            backend = SupabaseStorageBackend(client, **options)
            await backend.init()
            if wire is not None:
                wire.requests.clear()
            yield backend

    return open_backend
