"""Other tables named ``mcp_sessions``: the migrations don't change them, and can make a table with another name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from supabase import AsyncClientOptions, acreate_client

from pytest_mcp_storage.commands.supabase_init import named
from pytest_mcp_storage.stacks.supabase.database_schema import migration_sql
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends import ConfigurationError, SessionData, StorageSetupError, SupabaseStorageBackend
from reference_backends.supabase.table import SupabaseTable
from reference_backends.supabase.upstream import TableKind, table_kind
from tests.supabase.upstream import CLIENT_2, CLIENT_4, TABLE

NAME = "mcp_storage_sessions"


@pytest.fixture
def stack(server: SupervisedServer) -> Iterator[SupabaseStack]:
    """Make a project without the table. Its server does not know a new table before it reloads the schema."""
    stack = server.store(migrated=False)
    yield stack
    server.drop(stack)


async def client_of(stack: SupabaseStack, http: httpx.AsyncClient) -> Any:
    return await acreate_client(stack.url, str(stack.service_role_key), AsyncClientOptions(httpx_client=http))


def shape(database: psycopg.Connection[Any]) -> list[Any]:
    columns = "select attname from pg_attribute where attrelid = 'public.mcp_sessions'::regclass and attnum > 0"
    policies = "select policyname, qual from pg_policies where tablename = 'mcp_sessions'"
    grants = "select relacl::text from pg_class where oid = 'public.mcp_sessions'::regclass"
    return [database.execute(query.encode()).fetchall() for query in (columns, policies, grants)]


@pytest.mark.parametrize("theirs", [CLIENT_2, CLIENT_4], ids=["client 2", "client 4"])
def test_the_migrations_refuse_the_table_of_the_client_and_change_nothing(
    database: psycopg.Connection[Any], theirs: str
) -> None:
    database.execute(theirs.encode())
    before = shape(database)
    with pytest.raises(psycopg.errors.RaiseException) as raised:
        database.execute(migration_sql()[0].encode())
    assert "@mcp-ts/client" in str(raised.value)
    assert f"mcp-storage supabase-init --table {NAME}" in str(raised.value)
    assert shape(database) == before


@pytest.mark.parametrize("theirs", [CLIENT_2, CLIENT_4], ids=["client 2", "client 4"])
async def test_init_says_whose_table_it_is(
    stack: SupabaseStack, database: psycopg.Connection[Any], theirs: str
) -> None:
    database.execute((theirs + "grant select on public.mcp_sessions to service_role; notify pgrst").encode())
    async with httpx.AsyncClient() as http:
        backend = SupabaseStorageBackend(await client_of(stack, http))
        with pytest.raises(StorageSetupError, match="@mcp-ts/client") as raised:
            await backend.init()
    assert f"--table {NAME}" in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("statements", "kind"),
    [
        ("select 1", "missing"),
        (CLIENT_2, "upstream-client"),
        (CLIENT_4, "upstream-client"),
        (TABLE, "ours"),
        (TABLE + "alter table mcp_sessions drop column client_id;", "older"),
    ],
    ids=["none", "client 2", "client 4", "sdk 1.6", "older"],
)
async def test_the_kind_of_a_table(
    stack: SupabaseStack, database: psycopg.Connection[Any], statements: str, kind: TableKind
) -> None:
    grant = "grant select on all tables in schema public to service_role; notify pgrst"
    database.execute(f"{statements}; {grant}".encode())
    async with httpx.AsyncClient() as http:
        table = SupabaseTable(await client_of(stack, http), 10)
        assert await table_kind(table) == kind


async def test_ours_goes_next_to_theirs(
    stack: SupabaseStack, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    database.execute(CLIENT_4.encode())
    before = shape(database)
    for text in named(NAME, tmp_path).values():
        database.execute(text)
    for text in named(NAME, tmp_path).values():  # twice, as all migrations
        database.execute(text)
    assert shape(database) == before
    async with httpx.AsyncClient() as http:
        backend = SupabaseStorageBackend(await client_of(stack, http), table=NAME, encryption_key="ab" * 32)
        session = SessionData(
            session_id="s1",
            identity="alice",
            server_url="https://mcp.example",
            transport_type="sse",
            callback_url="https://app.example",
            created_at=0,
            tokens={"access_token": "t"},
        )
        await created(backend, session)
        await backend.update_session("alice", "s1", {"server_name": "named"})
        assert await backend.get_identity_sessions_data("alice") == [
            session.model_copy(update={"server_name": "named"})
        ]
        assert await backend.get_all_session_ids() == ["s1"]
        await backend.cleanup_expired_sessions()
        await backend.remove_session("alice", "s1")
        await backend.clear_all()
    assert database.execute("select count(*) from public.mcp_sessions").fetchone() == (0,)


async def created(backend: SupabaseStorageBackend, session: SessionData) -> None:
    """Create a session as soon as PostgREST knows the table: it reloads the schema shortly after the notification."""
    async with asyncio.timeout(20):
        while True:
            try:
                await backend.init()
                return await backend.create_session(session)
            except StorageSetupError as error:
                remedy = str(error)
            assert f"--table {NAME}" in remedy, "the remedy names the table that is meant"
            await asyncio.sleep(0.05)


def test_a_row_of_another_user_is_hidden_in_a_named_table_too(
    database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """The tests of the policies, with the other name."""
    from tests.supabase.test_policies import POLICIES

    for text in named(NAME, tmp_path).values():
        database.execute(text)
    cursor = database.execute(POLICIES.read_text().replace("mcp_sessions", NAME).encode())
    lines = []
    while True:
        lines += [row[0] for row in cursor.fetchall() if isinstance(row[0], str)] if cursor.description else []
        if not cursor.nextset():
            break
    assert [line for line in lines if line.startswith("not ok")] == []
    assert len([line for line in lines if line.startswith("ok - ")]) == 27


@pytest.mark.parametrize("name", ["", "Mine", "a b", "a?select=*", "../x", "a" * 64])
async def test_a_table_name_that_is_none(stack: SupabaseStack, name: str) -> None:
    async with httpx.AsyncClient() as http:
        client = await client_of(stack, http)
        with pytest.raises(ConfigurationError, match="table must be"):
            SupabaseStorageBackend(client, table=name)


@pytest.mark.parametrize(
    "grant",
    [
        "grant select, insert, update, delete on public.mcp_sessions to authenticated, service_role;",
        "grant select on public.mcp_sessions to anon;",
    ],
)
def test_a_grant_that_our_migration_loses_shows(database: psycopg.Connection[Any], grant: str) -> None:
    """A project grants nothing by default, as the native stack."""
    for text in migration_sql():
        lost = text.replace(grant, "")
        database.execute(lost.encode())
    query = "select has_table_privilege(%s, 'public.mcp_sessions', 'select')"
    roles = ["anon"] if "to anon" in grant else ["authenticated", "service_role"]
    assert [database.execute(query, (role,)).fetchone() for role in roles] == [(False,)] * len(roles)


def test_nobody_has_more_than_the_store_needs(database: psycopg.Connection[Any]) -> None:
    for text in migration_sql():
        database.execute(text.encode())
    held = database.execute(
        "select grantee, string_agg(privilege_type, ' ' order by privilege_type)"
        " from information_schema.role_table_grants where table_name = 'mcp_sessions' and grantee <> grantor group by 1"
    ).fetchall()
    rights = "DELETE INSERT SELECT UPDATE"
    assert dict(held) == {"anon": "SELECT", "authenticated": rights, "service_role": rights}


def test_a_schema_that_was_made_anew_works_after_the_migrations(database: psycopg.Connection[Any]) -> None:
    """As tools that reset a database do; the schema's grants are removed with it."""
    database.execute("drop schema public cascade; create schema public")
    for text in migration_sql():
        database.execute(text.encode())
    database.execute("set role service_role")
    assert database.execute("select count(*) from public.mcp_sessions").fetchone() == (0,)
