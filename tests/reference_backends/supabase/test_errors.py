"""Failures of a project, each as a typed error that says what to do and shows no secret."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import httpx
import psycopg
import pytest
from aiohttp import web
from postgrest.exceptions import APIError

from pytest_mcp_storage.faults import Fault, FaultProxy
from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends import (
    ConfigurationError,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)
from reference_backends.supabase.errors import typed_error
from reference_backends.supabase.project import SupabaseProjectBackend
from tests.reference_backends.supabase.failures import CALLS, SECRET, SESSION, answering, backend_at, calls, fails


@pytest.fixture(scope="module")
def stack(server: SupervisedServer) -> SupabaseStack:
    return server.store()


def test_a_missing_table(server: SupervisedServer) -> None:
    stack = server.store(migrated=False)

    async def check() -> None:
        async with backend_at(stack.url, str(stack.service_role_key)) as backend:
            for call in CALLS.values():
                await fails(call, backend, StorageSetupError, "mcp-storage supabase-init")
                await fails(call, backend, StorageSetupError, "supabase db push")

    asyncio.run(check())
    server.drop(stack)


def test_a_table_that_goes_while_it_is_in_use(server: SupervisedServer) -> None:
    """PostgREST still knows the table, so the error is PostgreSQL's."""
    stack = server.store()

    async def check() -> None:
        async with backend_at(stack.url, str(stack.service_role_key)) as backend:
            await backend.init()
            with psycopg.connect(str(stack.database_url), autocommit=True) as database:
                database.execute("drop table public.mcp_sessions")
            for call in CALLS.values():
                await fails(call, backend, StorageSetupError, "mcp-storage supabase-init")

    asyncio.run(check())
    server.drop(stack)


@pytest.mark.parametrize("error", [{"code": "42P01"}, {"code": "PGRST205"}, {"code": "404"}, {}], ids=str)
def test_every_form_of_a_missing_table(error: dict[str, str]) -> None:
    """Errors of other versions of PostgREST and supabase-py, written by hand: not all versions are installed."""
    problem = typed_error(APIError(error))
    assert type(problem) is StorageSetupError
    assert "mcp-storage supabase-init" in str(problem)


@pytest.mark.parametrize("code", ["42703", "PGRST204"])
def test_both_forms_of_a_missing_column(code: str) -> None:
    """PostgREST returns the second form after it has reloaded its schema."""
    problem = typed_error(APIError({"code": code}))
    assert type(problem) is StorageSetupError
    assert "older version" in str(problem)


@pytest.mark.parametrize("column", ["client_id", "user_id", "expires_at"])
def test_an_older_table(server: SupervisedServer, column: str) -> None:
    stack = server.store()

    async def check() -> None:
        with psycopg.connect(str(stack.database_url), autocommit=True) as database:
            database.execute(f"alter table public.mcp_sessions drop column {column} cascade".encode())
        async with backend_at(stack.url, str(stack.service_role_key)) as backend:
            await fails(CALLS["init"], backend, StorageSetupError, "older version")
            await fails(CALLS["init"], backend, StorageSetupError, "supabase db push")
            await fails(CALLS["create"], backend, StorageSetupError, "older version")

    asyncio.run(check())
    server.drop(stack)


@calls
def test_a_wrong_key(stack: SupabaseStack, call: Any) -> None:
    async def check() -> None:
        async with backend_at(stack.url, "wrong-key-of-another-project") as backend:
            await fails(call, backend, ConfigurationError, "SUPABASE_SERVICE_ROLE_KEY")

    asyncio.run(check())


@calls
def test_an_expired_or_foreign_login(stack: SupabaseStack, call: Any) -> None:
    async def check() -> None:
        expired = stack.token("alice", lifetime=-60)
        for token in (expired, expired[:-4] + "AAAA", "garbled"):
            async with backend_at(stack.url, str(stack.anon_key), Authorization=f"Bearer {token}") as backend:
                await fails(call, backend, ConfigurationError, "sign in again")

    asyncio.run(check())


@pytest.mark.parametrize("call", [CALLS[name] for name in ("create", "update", "remove", "clear", "clean up")])
def test_the_anon_key_may_not_write(stack: SupabaseStack, call: Any) -> None:
    async def check() -> None:
        async with backend_at(stack.url, str(stack.anon_key)) as backend:
            await backend.init()
            await fails(call, backend, StorageError, "service role key")

    asyncio.run(check())


@calls
def test_nothing_listens(call: Any) -> None:
    async def check() -> None:
        async with (
            FaultProxy(("127.0.0.1", 9)) as proxy,
            proxy.fault(Fault.REFUSE),
            backend_at(f"http://127.0.0.1:{proxy.port}", "key-of-the-project") as backend,
        ):
            await fails(call, backend, StorageUnavailableError, "check SUPABASE_URL")

    asyncio.run(check())


@calls
@pytest.mark.parametrize("fault", [Fault.SWALLOW_REQUEST, Fault.SWALLOW_ANSWER])
def test_nothing_answers(stack: SupabaseStack, call: Any, fault: Fault) -> None:
    """The client alone would wait for two minutes."""

    async def check() -> None:
        async with (
            FaultProxy(("127.0.0.1", httpx.URL(stack.url).port or 0)) as proxy,
            proxy.fault(fault),
            backend_at(f"http://127.0.0.1:{proxy.port}", str(stack.service_role_key), time_limit=0.2) as backend,
        ):
            async with asyncio.timeout(20):
                await fails(call, backend, StorageUnavailableError, "did not answer in time")

    asyncio.run(check())


def test_a_lost_answer_leaves_it_open_what_was_done(stack: SupabaseStack) -> None:
    async def check() -> None:
        async with (
            FaultProxy(("127.0.0.1", httpx.URL(stack.url).port or 0)) as proxy,
            backend_at(f"http://127.0.0.1:{proxy.port}", str(stack.service_role_key)) as backend,
        ):
            async with proxy.fault(Fault.DROP_ANSWER):
                await fails(CALLS["create"], backend, StorageUnavailableError, "may or may not have been done")
                assert proxy.requests == 1
            assert await backend.get_session("alice", "s1") == SESSION
            async with proxy.fault(Fault.DROP_ANSWER):
                await fails(CALLS["get"], backend, StorageUnavailableError, "may or may not have been done")
                assert proxy.requests == 3
                await fails(CALLS["remove"], backend, StorageUnavailableError, "may or may not have been done")
            assert await backend.get_session("alice", "s1") is None

    asyncio.run(check())


def test_the_stack_dies_in_the_middle() -> None:
    async def check() -> None:
        with native.start() as server:
            stack = server.store()
            async with backend_at(stack.url, str(stack.service_role_key)) as backend:
                await backend.init()
                server.close()
                for call in CALLS.values():
                    await fails(call, backend, StorageUnavailableError, "check SUPABASE_URL")

    asyncio.run(check())


def test_the_database_dies_behind_its_gateway(server: SupervisedServer) -> None:
    stack = server.store()

    async def check() -> None:
        async with backend_at(stack.url, str(stack.service_role_key)) as backend:
            await backend.init()
            name = psycopg.conninfo.conninfo_to_dict(str(stack.database_url))["dbname"]
            with psycopg.connect(str(stack.database_url), dbname="postgres", autocommit=True) as database:
                database.execute(f'alter database "{name}" allow_connections false'.encode())
                database.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
                for call in CALLS.values():
                    await fails(call, backend, StorageUnavailableError, "try again")

    asyncio.run(check())


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirection_does_not_turn_a_write_into_a_read(status: int) -> None:
    """A client that follows redirects (usually http to https) sends a GET instead. The server is made for this test."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response([{"session_id": "another"}])
        return web.Response(status=status, headers={"Location": str(request.url)})

    async def check() -> None:
        async with answering(answer) as url, backend_at(url, "key-of-the-project") as backend:
            await fails(CALLS["create"], backend, StorageSetupError, "check SUPABASE_URL")
            if status != 301:  # which repeats a DELETE, so it is redirected forever
                await fails(CALLS["remove"], backend, StorageSetupError, "check SUPABASE_URL")

    asyncio.run(check())


@pytest.mark.parametrize("created_at", [None, 5, "yesterday", {}])
def test_a_row_without_a_moment_is_a_damaged_session(created_at: object) -> None:
    """A view in place of the table may return such a row. It is made for this test."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response([{"session_id": "s1", "created_at": created_at}])

    async def check() -> None:
        async with answering(answer) as url, backend_at(url, "key-of-the-project") as backend:
            await backend.init()
            await fails(CALLS["get"], backend, StorageError, "the stored session 's1' is damaged")

    asyncio.run(check())


def test_a_key_that_is_no_header_is_not_shown(stack: SupabaseStack) -> None:
    async def check() -> None:
        async with backend_at(stack.url, "secret-key\nof-two-lines") as backend:
            await fails(CALLS["get"], backend, ConfigurationError, "line breaks")

    asyncio.run(check())


@pytest.mark.parametrize("url", ["127.0.0.1", "ftp://secret-host", "http://[::1", "http://secret-host:x"])
def test_an_invalid_url_is_refused_at_once_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_URL") as refusal:
        SupabaseProjectBackend(url, "a.secret.key")
    assert "secret" not in "".join(traceback.format_exception(refusal.value, limit=0))


def test_a_closed_client(stack: SupabaseStack) -> None:
    async def check() -> None:
        async with backend_at(stack.url, str(stack.service_role_key)) as backend:
            await backend._client.postgrest.aclose()
            await fails(CALLS["get"], backend, StorageError, "closed")

    asyncio.run(check())


def test_debugging_an_application_logs_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """The library that encodes the headers of HTTP/2 for httpx logs each of them."""
    from hpack import Encoder

    caplog.set_level(logging.DEBUG)
    Encoder().encode([("apikey", SECRET)])
    assert SECRET not in caplog.text
