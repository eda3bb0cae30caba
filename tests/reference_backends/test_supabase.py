"""The Supabase store where the contract's suite cannot look: its requests, its pages, its races."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client, create_client

from pytest_mcp_storage.stacks import native
from pytest_mcp_storage.stacks.kept import KeptServer
from pytest_mcp_storage.stacks.supabase import SupabaseStack
from reference_backends import (
    ConfigurationError,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    StorageError,
    SupabaseStorageBackend,
    create_supabase_storage_backend,
    supabase_table,
)

KEY = "00112233445566778899aabbccddeeff" * 2
SECRETS = {
    "tokens": {"access_token": "clear-token"},
    "headers": {"Authorization": "clear-header"},
    "code_verifier": "clear-verifier",
    "client_information": {"client_id": "me", "client_secret": "clear-secret"},
}


def session(session_id: str = "s1", identity: str = "alice", **fields: Any) -> SessionData:
    return SessionData(
        session_id=session_id,
        identity=identity,
        server_url="https://mcp.example",
        transport_type="sse",
        callback_url="https://app.example/callback",
        created_at=1_700_000_000_123,
        **fields,
    )


class Wire:
    """What a client sends; ``then`` is called after each answer, so that others can act between two requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.then: Callable[[httpx.Request], Awaitable[None]] | None = None

    async def seen(self, response: httpx.Response) -> None:
        self.requests.append(response.request)
        if self.then is not None:
            await self.then(response.request)

    @property
    def methods(self) -> list[str]:
        methods = [request.method for request in self.requests]
        self.requests.clear()
        return methods


@asynccontextmanager
async def client_of(
    stack: SupabaseStack, wire: Wire | None = None, user: str | None = None
) -> AsyncIterator[AsyncClient]:
    hooks = {"response": [wire.seen]} if wire else {}
    key = str(stack.service_role_key if user is None else stack.anon_key)
    headers = {} if user is None else {"Authorization": f"Bearer {stack.token(user)}"}
    async with httpx.AsyncClient(event_hooks=hooks) as http:
        yield await acreate_client(stack.url, key, AsyncClientOptions(httpx_client=http, headers=headers))


@asynccontextmanager
async def backend_on(
    stack: SupabaseStack, wire: Wire | None = None, **options: Any
) -> AsyncIterator[SupabaseStorageBackend]:
    async with client_of(stack, wire) as client:
        backend = SupabaseStorageBackend(client, **options)
        await backend.init()
        if wire is not None:
            wire.requests.clear()
        yield backend


@pytest.fixture(scope="module")
def server() -> Iterator[KeptServer]:
    with native.start() as server:
        yield server


@pytest.fixture
def stack(server: KeptServer) -> Iterator[SupabaseStack]:
    stack = server.store()
    yield stack
    server.drop(stack)


@pytest.fixture
def small_pages(server: KeptServer) -> Iterator[SupabaseStack]:
    stack = server.store(max_rows=7)
    yield stack
    server.drop(stack)


@pytest.fixture
def sql(stack: SupabaseStack) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    with psycopg.connect(str(stack.database_url), autocommit=True) as connection:

        def run(statement: str) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

        yield run


def test_each_call_takes_as_few_requests_as_it_can(stack: SupabaseStack) -> None:
    async def check() -> None:
        wire = Wire()
        async with backend_on(stack, wire, encryption_key=KEY, seal_all=True) as backend:
            await backend.create_session(session(**SECRETS))
            assert wire.methods == ["POST"]
            await backend.get_session("alice", "s1")
            assert wire.methods == ["GET"]
            await backend.get_identity_sessions_data("alice")
            await backend.get_identity_mcp_sessions("alice")
            assert wire.methods == ["GET", "GET"]
            await backend.update_session("alice", "s1", {"active": True})
            assert wire.methods == ["PATCH"]
            await backend.remove_session("alice", "s1")
            assert wire.methods == ["DELETE"]

    asyncio.run(check())


def test_no_request_deletes_or_updates_without_a_filter(stack: SupabaseStack) -> None:
    """A hosted project refuses one (21000); the native stack would do it."""

    async def check() -> None:
        wire = Wire()
        async with backend_on(stack, wire) as backend:
            await backend.create_session(session())
            with pytest.raises(SessionExistsError):
                await backend.create_session(session())
            await backend.update_session("alice", "s1", {"active": True})
            await backend.remove_session("alice", "s1")
            await backend.cleanup_expired_sessions()
            await backend.clear_all()
            changing = [request for request in wire.requests if request.method in ("DELETE", "PATCH")]
            assert len(changing) == 5
            for request in changing:
                assert set(request.url.params) & {"id", "session_id", "identity"}, request.url

    asyncio.run(check())


def test_a_default_of_the_table_stands_in_for_nothing(stack: SupabaseStack, sql: Any) -> None:
    """The table of upstream has one: ``active`` is false there unless it is named."""
    sql("alter table public.mcp_sessions alter column active set default false")

    async def check() -> None:
        async with backend_on(stack) as backend:
            await backend.create_session(session())
            assert await backend.get_session("alice", "s1") == session()

    asyncio.run(check())


def test_listings_are_whole_whatever_the_server_cuts(small_pages: SupabaseStack) -> None:
    async def check() -> None:
        wire = Wire()
        async with backend_on(small_pages, wire) as backend:
            for count, requests in {6: 1, 7: 1, 8: 2, 14: 3, 15: 3}.items():
                await backend.clear_all()
                names = {f"s{number:02}" for number in range(count)}
                await asyncio.gather(*(backend.create_session(session(name)) for name in names))
                await backend.create_session(session("other", "bob"))
                wire.requests.clear()
                assert sorted(await backend.get_identity_mcp_sessions("alice")) == sorted(names)
                assert len(wire.requests) == requests
                assert {seen.session_id for seen in await backend.get_identity_sessions_data("alice")} == names
                assert sorted(await backend.get_all_session_ids()) == sorted({*names, "other"})

    asyncio.run(check())


def test_names_are_told_apart_to_the_letter(small_pages: SupabaseStack) -> None:
    """White space at an edge, and what filters are written with: also where a page ends at such a name."""
    spaced = [
        " ",
        "  ",
        " a",
        "a ",
        "a",
        "\ta",
        "a\r\n",
        "\ufeffa",
        "\u2003a",
        ' "a"',
        'a" ',
        " a\\",
        " a,b)",
        ' ("a")',
    ]
    values = ["1", "01", "1.0", "1e5", "0x1", "null", "NULL", "true", "eq.1", "*", " *", '"1"', "(1)", "\\"]
    odd = spaced + values

    async def check() -> None:
        async with backend_on(small_pages) as backend:
            for name in odd:
                await backend.create_session(session(name, name, server_name=name))
            crowd = sorted(f" crowd {name} " for name in odd)
            await asyncio.gather(*(backend.create_session(session(name, "crowd ")) for name in crowd))
            assert sorted(await backend.get_identity_mcp_sessions("crowd ")) == crowd
            assert sorted(await backend.get_all_session_ids()) == sorted(odd + crowd)
            for name in odd:
                assert await backend.get_session(name, name) == session(name, name, server_name=name)
                assert await backend.get_identity_mcp_sessions(name) == [name]
                await backend.update_session(name, name, {"server_name": "renamed"})
                await backend.remove_session(name, name)
                assert await backend.get_session(name, name) is None
            assert sorted(await backend.get_all_session_ids()) == crowd

    asyncio.run(check())


def test_rows_that_go_between_two_pages_shift_nothing(small_pages: SupabaseStack) -> None:
    async def check() -> None:
        wire = Wire()
        async with backend_on(small_pages) as other, backend_on(small_pages, wire) as backend:
            names = [f"s{number:02}" for number in range(20)]
            await asyncio.gather(*(other.create_session(session(name)) for name in names))

            async def remove_one(request: httpx.Request) -> None:
                wire.then = None
                await other.remove_session("alice", "s00")

            for listing in (backend.get_all_session_ids, lambda: backend.get_identity_mcp_sessions("alice")):
                wire.then = remove_one
                assert set(names[1:]) <= set(await listing())

    asyncio.run(check())


def test_the_store_is_emptied_and_cleaned_up_in_steps(
    stack: SupabaseStack, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement grows with the table: a hosted project ends one after some seconds."""
    monkeypatch.setattr(supabase_table, "PAGE", 10)
    now = 1_800_000_000.0

    async def check() -> None:
        wire = Wire()
        async with backend_on(stack, wire, clock=lambda: now) as backend:
            for number in range(35):
                await backend.create_session(session(f"s{number:02}"), ttl=1 if number % 2 else 100)
            left = []

            async def count(request: httpx.Request) -> None:
                if request.method == "DELETE":
                    left.extend(sql("select count(*) from mcp_sessions")[0])

            wire.then = count
            nonlocal now
            now += 1
            await backend.cleanup_expired_sessions()
            assert left == [25, 18]
            await backend.clear_all()
            assert left == [25, 18, 8, 0]

    asyncio.run(check())


def test_an_id_that_expired_under_one_identity_is_free_for_another(stack: SupabaseStack) -> None:
    now = 1_800_000_000.0

    async def check() -> None:
        async with backend_on(stack, clock=lambda: now) as backend:
            await backend.create_session(session(server_name="old"), ttl=5)
            with pytest.raises(SessionExistsError):
                await backend.create_session(session(identity="bob"))
            nonlocal now
            now += 5
            await backend.create_session(session(identity="bob"))
            assert await backend.get_session("alice", "s1") is None
            assert await backend.get_session("bob", "s1") == session(identity="bob")

    asyncio.run(check())


def test_a_create_succeeds_though_a_clean_up_takes_the_expired_row_away_first(stack: SupabaseStack) -> None:
    now = 1_800_000_000.0

    async def check() -> None:
        wire = Wire()
        async with backend_on(stack, clock=lambda: now) as other, backend_on(stack, wire, clock=lambda: now) as backend:
            await other.create_session(session(), ttl=5)
            nonlocal now
            now += 5

            async def clean_up(request: httpx.Request) -> None:
                wire.then = None
                await other.cleanup_expired_sessions()

            wire.then = clean_up
            await backend.create_session(session())
            assert wire.methods == ["POST", "DELETE", "POST"]

    asyncio.run(check())


@pytest.mark.parametrize("seal_all", [False, True])
def test_an_update_seals_what_still_lies_in_clear(stack: SupabaseStack, sql: Any, seal_all: bool) -> None:
    async def check() -> None:
        wire = Wire()
        async with (
            backend_on(stack) as plain,
            backend_on(stack, wire, encryption_key=KEY, seal_all=seal_all) as backend,
        ):
            await plain.create_session(session(**SECRETS))
            await backend.update_session("alice", "s1", {"active": True, "tokens": {"access_token": "new"}})
            ((row,),) = sql("select to_jsonb(mcp_sessions) from mcp_sessions")
            assert row["tokens"].startswith("enc:1:")
            assert row["headers"].startswith("enc:1:")
            assert row["code_verifier"].startswith("enc:1:") is seal_all
            assert row["client_information"]["client_secret"].startswith("enc:1:") is seal_all
            assert row["client_information"]["client_id"] == "me"
            expected = session(**SECRETS | {"active": True, "tokens": {"access_token": "new"}})
            assert await backend.get_session("alice", "s1") == expected
            wire.requests.clear()
            await backend.update_session("alice", "s1", {"active": False})
            assert wire.methods == ["PATCH"]

    asyncio.run(check())


@pytest.mark.parametrize("column", SECRETS)
def test_one_secret_in_clear_is_enough_to_be_sealed(stack: SupabaseStack, sql: Any, column: str) -> None:
    async def check() -> None:
        async with backend_on(stack) as plain, backend_on(stack, encryption_key=KEY, seal_all=True) as backend:
            await plain.create_session(session(**{column: SECRETS[column]}))
            await backend.update_session("alice", "s1", {"active": True})
            assert await backend.get_session("alice", "s1") == session(active=True, **{column: SECRETS[column]})
            ((stored,),) = sql(f"select {column}::text from mcp_sessions")
            assert "clear" not in stored

    asyncio.run(check())


def test_an_update_beside_the_sealing_is_kept(stack: SupabaseStack, sql: Any) -> None:
    """Between the read and the sealing another handle replaces the clear tokens: they must not come back."""

    async def check() -> None:
        wire = Wire()
        async with backend_on(stack) as plain, backend_on(stack, wire, encryption_key=KEY) as backend:
            await plain.create_session(session(tokens={"access_token": "first"}))

            async def replace(request: httpx.Request) -> None:
                if request.method == "GET":
                    wire.then = None
                    await plain.update_session("alice", "s1", {"tokens": {"access_token": "second"}})

            wire.then = replace
            await backend.update_session("alice", "s1", {"server_name": "named"})
            seen = await backend.get_session("alice", "s1")
            assert seen == session(tokens={"access_token": "second"}, server_name="named")
            ((tokens,),) = sql("select tokens from mcp_sessions")
            assert tokens.startswith("enc:1:")

    asyncio.run(check())


def test_an_update_is_not_lost_where_others_write_all_the_time(stack: SupabaseStack) -> None:
    async def check() -> None:
        wire = Wire()
        async with backend_on(stack) as plain, backend_on(stack, wire, encryption_key=KEY) as backend:
            await plain.create_session(session(tokens={"count": 0}))

            async def write(request: httpx.Request) -> None:
                if request.method == "GET":
                    await plain.update_session("alice", "s1", {"tokens": {"count": len(wire.requests)}})

            wire.then = write
            await backend.update_session("alice", "s1", {"server_name": "named"})
            seen = await plain.get_session("alice", "s1")
            assert seen is not None
            assert seen.server_name == "named"

    asyncio.run(check())


def test_a_session_that_expires_before_the_sealing_is_not_brought_back(stack: SupabaseStack) -> None:
    now = 1_800_000_000.0

    async def check() -> None:
        wire = Wire()
        async with (
            backend_on(stack, clock=lambda: now) as plain,
            backend_on(stack, wire, encryption_key=KEY, clock=lambda: now) as backend,
        ):
            await plain.create_session(session(tokens={}), ttl=5)

            async def wait(request: httpx.Request) -> None:
                nonlocal now
                if request.method == "GET":
                    now += 5

            wire.then = wait
            with pytest.raises(SessionNotFoundError):
                await backend.update_session("alice", "s1", {"active": True})
            assert await plain.get_session("alice", "s1") is None

    asyncio.run(check())


def test_a_user_keeps_their_own_sessions(stack: SupabaseStack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reference_backends")

    async def check() -> None:
        async with client_of(stack, user="alice") as client:
            backend = create_supabase_storage_backend(client, encryption_key=KEY)
            await backend.init()
            await backend.init()
            await backend.create_session(session(**SECRETS))
            await backend.update_session("alice", "s1", {"active": True})
            assert await backend.get_session("alice", "s1") == session(active=True, **SECRETS)
            with pytest.raises(StorageError, match="service role"):
                await backend.create_session(session("s2", "bob"))
            await backend.clear_all()
            assert await backend.get_all_session_ids() == []

    asyncio.run(check())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert "[mcp-storage] supabase: table mcp_sessions verified" in caplog.messages


@pytest.mark.parametrize("key", ["anon_key", "publishable_key"])
def test_the_anon_key_is_warned_of(stack: SupabaseStack, key: str, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with httpx.AsyncClient() as http:
            client = await acreate_client(stack.url, getattr(stack, key), AsyncClientOptions(httpx_client=http))
            backend = SupabaseStorageBackend(client, encryption_key=KEY)
            await backend.init()
            await backend.init()

    asyncio.run(check())
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "SUPABASE_ANON_KEY" in warning
    assert "SUPABASE_SERVICE_ROLE_KEY" in warning


def test_a_client_with_all_its_defaults_does(stack: SupabaseStack) -> None:
    """supabase-py warns of its own argument then, and warnings are errors in this run."""

    async def check() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            client = await acreate_client(stack.url, str(stack.service_role_key))
        backend = SupabaseStorageBackend(client, encryption_key=KEY)
        await backend.init()
        await backend.create_session(session())
        assert await backend.get_identity_mcp_sessions("alice") == ["s1"]
        await client.postgrest.aclose()
        await client.auth.close()

    asyncio.run(check())


def test_disconnect_leaves_the_client_open(stack: SupabaseStack) -> None:
    async def check() -> None:
        async with client_of(stack) as client:
            backend = SupabaseStorageBackend(client, encryption_key=KEY)
            await backend.init()
            await backend.disconnect()
            with pytest.raises(StorageError, match="init"):
                await backend.get_session("alice", "s1")
            assert (await client.table("mcp_sessions").select("session_id").execute()).data == []
            await backend.init()
            assert await backend.get_session("alice", "s1") is None

    asyncio.run(check())


def test_another_event_loop_is_told_so(stack: SupabaseStack) -> None:
    async def open_it() -> SupabaseStorageBackend:
        http = httpx.AsyncClient()
        client = await acreate_client(stack.url, str(stack.service_role_key), AsyncClientOptions(httpx_client=http))
        backend = SupabaseStorageBackend(client, encryption_key=KEY)
        await backend.init()
        return backend

    backend = asyncio.run(open_it())
    with pytest.raises(StorageError, match="another event loop") as raised:
        asyncio.run(backend.get_all_session_ids())
    assert raised.value.__context__ is None
    del backend, raised
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # what the first loop left open, nobody can close any more


def test_the_sync_client_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = create_client("http://127.0.0.1:9", "key")
    with pytest.raises(ConfigurationError, match="acreate_client"):
        SupabaseStorageBackend(client)  # type: ignore[arg-type]
