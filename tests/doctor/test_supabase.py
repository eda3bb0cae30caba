"""The doctor on Supabase: each planted fault is named, a sound project has none."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from pytest_mcp_storage.stacks.signing import sign
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends.supabase.project import SupabaseProjectBackend
from tests.doctor.sessions import KEY, SESSION, problems
from tests.supabase.upstream import CLIENT_4

Connection = psycopg.Connection[Any]

ROW = """
insert into mcp_sessions (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at, tokens)
values ('s' || gen_random_uuid(), {owner}, 'alice', 'https://a', 'sse', 'https://c', {expires}, {tokens})
"""
SOUND = {"owner": "'alice'", "expires": "now() + interval '1 hour'", "tokens": "'\"enc:1:\"'"}
HOLE = """
alter policy "Users can insert their own sessions" on mcp_sessions
with check ((auth.jwt() ->> 'sub') = user_id or (auth.jwt() ->> 'sub') = identity)
"""


def row(**changed: str) -> str:
    return ROW.format(**{**SOUND, **changed})


def environment(stack: SupabaseStack, *, database: bool = True) -> dict[str, str]:
    found = {
        "SUPABASE_URL": stack.url,
        "SUPABASE_SECRET_KEY": str(stack.secret_key),
        "SUPABASE_PUBLISHABLE_KEY": str(stack.publishable_key),
        "STORAGE_ENCRYPTION_KEY": KEY,
    }
    return {**found, "SUPABASE_DB_URL": str(stack.database_url)} if database else found


async def test_a_sound_project_has_no_problem(stack: SupabaseStack) -> None:
    store = SupabaseProjectBackend(stack.url, str(stack.secret_key), encryption_key=KEY)
    await store.init()
    await store.create_session(SESSION, ttl=60)
    await store.disconnect()
    assert await problems(environment(stack)) == {}


@pytest.mark.parametrize(
    ("plant", "check", "said"),
    [
        (HOLE, "supabase.policy_hole", "Users can insert their own sessions"),
        ('drop policy "Users can view their own sessions" on mcp_sessions', "supabase.policies", "Users can view"),
        ("create policy everyone on mcp_sessions for select using (false)", "supabase.other_policies", "everyone"),
        ("alter table mcp_sessions disable row level security", "supabase.row_security", "row security is off"),
        ("grant insert on mcp_sessions to anon", "supabase.privileges", "anon has privileges"),
        ("revoke update on mcp_sessions from service_role", "supabase.privileges", "service_role lacks"),
        ("drop index idx_mcp_sessions_expires_at", "supabase.indexes", "expires_at"),
        ("drop index idx_mcp_sessions_identity_session", "supabase.indexes", "identity, session_id"),
        (row(owner="'mallory'"), "supabase.foreign_rows", "1 row is"),
        (row(tokens="'{\"t\": 1}'"), "supabase.clear", "1 row is in clear"),
        (row(expires="now() - interval '1 day'"), "supabase.expired", "1 row is"),
    ],
)
async def test_a_fault_of_the_database_is_named(
    stack: SupabaseStack, database: Connection, plant: str, check: str, said: str
) -> None:
    database.execute(plant.encode())
    found = await problems(environment(stack))
    assert list(found) == [check]
    assert said in found[check].message
    assert found[check].remedy


async def test_without_a_connection_string_rows_are_still_compared(stack: SupabaseStack, database: Connection) -> None:
    database.execute(row(owner="'mallory'").encode())
    assert list(await problems(environment(stack, database=False))) == ["supabase.foreign_rows"]


async def test_a_table_that_everybody_can_read_is_named(stack: SupabaseStack, database: Connection) -> None:
    database.execute(b"alter table mcp_sessions disable row level security" + b";" + row().encode())
    assert list(await problems(environment(stack, database=False))) == ["supabase.public"]


async def test_a_missing_table_is_named(server: SupervisedServer) -> None:
    bare = server.store(migrated=False)
    found = await problems(environment(bare))
    assert list(found) == ["supabase.table"]
    assert "mcp-storage supabase-init" in found["supabase.table"].message
    server.drop(bare)


async def test_a_small_limit_of_rows_is_named(server: SupervisedServer) -> None:
    stack = server.store(max_rows=1)
    with psycopg.connect(str(stack.database_url), autocommit=True) as database:
        for _ in range(2):
            database.execute(row().encode())
    assert list(await problems(environment(stack))) == ["supabase.max_rows"]
    server.drop(stack)


async def test_faults_of_the_key_and_the_clock_are_named(stack: SupabaseStack) -> None:
    sound = environment(stack)
    found = await problems({**sound, "SUPABASE_SECRET_KEY": str(stack.publishable_key)})
    assert found["supabase.key"].level == "error"
    found = await problems({**sound, "SUPABASE_SECRET_KEY": "sb_secret_of-another-project"})
    assert list(found) == ["supabase.table"]
    expiring = sign(str(stack.jwt_secret), "service_role", lifetime=86400)
    found = await problems({**sound, "SUPABASE_SECRET_KEY": expiring})
    assert "expires in 1 days" in found["supabase.key_expiry"].message
    for skew, level in ((10, "warning"), (-120, "error")):
        found = await problems(sound, lambda skew=skew: time.time() + skew)
        assert (list(found), found["supabase.clock"].level) == (["supabase.clock"], level)


async def test_a_database_that_cannot_be_reached_is_named_without_its_password(stack: SupabaseStack) -> None:
    environ = {**environment(stack), "SUPABASE_DB_URL": "postgresql://postgres:the-password@127.0.0.1:1/postgres"}
    assert list(await problems(environ)) == ["supabase.database"]


async def test_the_table_of_another_package_is_named(server: SupervisedServer) -> None:
    bare = server.store(migrated=False)
    with psycopg.connect(str(bare.database_url), autocommit=True) as database:
        database.execute((CLIENT_4 + "notify pgrst").encode())
    found = {}
    for _ in range(100):  # PostgREST reads the new schema a moment later
        found = await problems(environment(bare))
        if "@mcp-ts/client" in found["supabase.table"].message:
            break
    assert "supabase-init --table" in found["supabase.table"].message
    server.drop(bare)
