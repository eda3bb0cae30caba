"""The requests of the Supabase store: their number, filters and steps."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends import SessionExistsError
from reference_backends.supabase import table as supabase_table


async def test_each_call_takes_as_few_requests_as_it_can(
    stack: SupabaseStack, session: Any, key: str, in_clear: Any, wire: Any, backend_on: Any
) -> None:
    async with backend_on(stack, wire, encryption_key=key, seal_all=True) as backend:
        await backend.create_session(session(**in_clear))
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


async def test_no_request_deletes_or_updates_without_a_filter(
    stack: SupabaseStack, session: Any, wire: Any, backend_on: Any
) -> None:
    """A hosted project refuses such a request (21000); the native stack would accept it."""
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


async def test_a_default_of_the_table_replaces_nothing(
    stack: SupabaseStack, sql: Any, session: Any, backend_on: Any
) -> None:
    """Upstream's table has a default: ``active`` is false unless an insert names it."""
    sql("alter table public.mcp_sessions alter column active set default false")
    async with backend_on(stack) as backend:
        await backend.create_session(session())
        assert await backend.get_session("alice", "s1") == session()


async def test_the_store_is_emptied_and_cleaned_up_in_steps(
    stack: SupabaseStack, sql: Any, monkeypatch: pytest.MonkeyPatch, session: Any, wire: Any, backend_on: Any
) -> None:
    """The time of a statement does not depend on the size of the table: a hosted project stops long ones."""
    monkeypatch.setattr(supabase_table, "PAGE", 10)
    now = 1_800_000_000.0
    async with backend_on(stack, wire, clock=lambda: now) as backend:
        for number in range(35):
            await backend.create_session(session(f"s{number:02}"), ttl=1 if number % 2 else 100)
        left = []

        async def count(request: httpx.Request) -> None:
            if request.method == "DELETE":
                left.extend(sql("select count(*) from mcp_sessions")[0])

        wire.then = count
        now += 1
        await backend.cleanup_expired_sessions()
        assert left == [25, 18]
        await backend.clear_all()
        assert left == [25, 18, 8, 0]


async def test_an_id_that_expired_under_one_identity_is_free_for_another(
    stack: SupabaseStack, session: Any, backend_on: Any
) -> None:
    now = 1_800_000_000.0
    async with backend_on(stack, clock=lambda: now) as backend:
        await backend.create_session(session(server_name="old"), ttl=5)
        with pytest.raises(SessionExistsError):
            await backend.create_session(session(identity="bob"))
        now += 5
        await backend.create_session(session(identity="bob"))
        assert await backend.get_session("alice", "s1") is None
        assert await backend.get_session("bob", "s1") == session(identity="bob")


async def test_a_create_succeeds_though_a_clean_up_takes_the_expired_row_away_first(
    stack: SupabaseStack, session: Any, wire: Any, backend_on: Any
) -> None:
    now = 1_800_000_000.0
    async with backend_on(stack, clock=lambda: now) as other, backend_on(stack, wire, clock=lambda: now) as backend:
        await other.create_session(session(), ttl=5)
        now += 5

        async def clean_up(request: httpx.Request) -> None:
            wire.then = None
            await other.cleanup_expired_sessions()

        wire.then = clean_up
        await backend.create_session(session())
        assert wire.methods == ["POST", "DELETE", "POST"]
