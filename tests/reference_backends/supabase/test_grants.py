"""Error 42501 has two causes: row security, which works as intended, and a missing GRANT."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends import StorageError, StorageSetupError, SupabaseStorageBackend
from reference_backends.supabase.grants import forbidden
from tests.reference_backends.supabase.failures import CALLS, fails

TABLE = "grant select, insert, update, delete on public.mcp_sessions to {role};"


@pytest.mark.parametrize(
    ("lost", "role", "statement"),
    [
        ("revoke all on mcp_sessions from service_role", "service_role", TABLE),
        ("revoke all on mcp_sessions from authenticated", "authenticated", TABLE),
        (
            "revoke all on schema public from public, service_role",
            "service_role",
            "grant usage on schema public to {role};",
        ),
        (
            "revoke execute on function auth.jwt() from public, authenticated",
            "authenticated",
            "grant execute on function auth.jwt() to {role};",
        ),
    ],
)
async def test_a_lost_grant_is_named_and_its_statement_helps(
    stack: SupabaseStack, sql: Any, client_of: Any, session: Any, lost: str, role: str, statement: str
) -> None:
    """The error prints the statement for that role. After it has run, everything works."""
    statement = statement.format(role=role)
    user = None if role == "service_role" else "alice"
    sql(lost)
    async with client_of(stack, user=user) as client:
        backend = SupabaseStorageBackend(client)
        with pytest.raises(StorageSetupError) as raised:
            await backend.init()
        assert statement in str(raised.value)
        sql(str(raised.value).rpartition("SQL editor: ")[2])
        await backend.init()
        await backend.create_session(session())
        assert await backend.get_identity_mcp_sessions("alice") == ["s1"]


async def test_a_server_role_that_postgrest_may_not_take(
    server: SupervisedServer, stack: SupabaseStack, sql: Any, client_of: Any
) -> None:
    sql("revoke service_role from authenticator")
    try:
        async with client_of(stack) as client:
            backend = SupabaseStorageBackend(client)
            await fails(CALLS["init"], backend, StorageSetupError, "grant service_role to authenticator;")
    finally:
        sql("grant service_role to authenticator")


async def test_a_service_role_that_row_security_binds(
    stack: SupabaseStack, sql: Any, client_of: Any, session: Any
) -> None:
    sql("alter role service_role nobypassrls")
    try:
        async with client_of(stack) as client:
            backend = SupabaseStorageBackend(client)
            await backend.init()
            await fails(CALLS["create"], backend, StorageSetupError, "alter role service_role bypassrls;")
    finally:
        sql("alter role service_role bypassrls")


@pytest.mark.parametrize("role", ["anon", "authenticated", None])
def test_row_security_is_no_missing_grant(role: str | None) -> None:
    error = forbidden('new row violates row-level security policy for table "mcp_sessions"', role)
    assert type(error) is StorageError
    assert "service role key" in str(error)
    assert "grant " not in str(error)


def test_another_object_behind_the_table_is_named() -> None:
    """For example, a trigger of the user writes to a log."""
    error = forbidden("permission denied for table audit_log", "service_role")
    assert type(error) is StorageSetupError
    assert "table audit_log" in str(error)
    assert "on public.mcp_sessions" not in str(error)


def test_a_message_in_another_language_still_names_the_grant() -> None:
    """``lc_messages`` decides PostgreSQL's language. The role alone distinguishes the causes."""
    assert TABLE.format(role="service_role") in str(forbidden("keine berechtigung für tabelle", "service_role"))
