"""The next update seals secrets that are stored in clear, and no concurrent update is lost."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends.supabase.backend import SEALING_ATTEMPTS


@pytest.mark.parametrize("seal_all", [False, True])
async def test_an_update_seals_what_is_in_clear(
    stack: SupabaseStack, sql: Any, seal_all: bool, session: Any, key: str, in_clear: Any, wire: Any, backend_on: Any
) -> None:
    async with (
        backend_on(stack) as plain,
        backend_on(stack, wire, encryption_key=key, seal_all=seal_all) as backend,
    ):
        await plain.create_session(session(**in_clear))
        await backend.update_session("alice", "s1", {"active": True, "tokens": {"access_token": "new"}})
        ((row,),) = sql("select to_jsonb(mcp_sessions) from mcp_sessions")
        assert row["tokens"].startswith("enc:1:")
        assert row["headers"].startswith("enc:1:")
        assert row["code_verifier"].startswith("enc:1:") is seal_all
        assert row["client_information"]["client_secret"].startswith("enc:1:") is seal_all
        assert row["client_information"]["client_id"] == "me"
        expected = session(**in_clear | {"active": True, "tokens": {"access_token": "new"}})
        assert await backend.get_session("alice", "s1") == expected
        wire.requests.clear()
        await backend.update_session("alice", "s1", {"active": False})
        assert wire.methods == ["PATCH"]


@pytest.mark.parametrize("column", ["tokens", "headers", "code_verifier", "client_information"])
async def test_one_secret_in_clear_is_enough_to_be_sealed(
    stack: SupabaseStack, sql: Any, column: str, session: Any, key: str, in_clear: Any, backend_on: Any
) -> None:
    async with backend_on(stack) as plain, backend_on(stack, encryption_key=key, seal_all=True) as backend:
        await plain.create_session(session(**{column: in_clear[column]}))
        await backend.update_session("alice", "s1", {"active": True})
        assert await backend.get_session("alice", "s1") == session(active=True, **{column: in_clear[column]})
        ((stored,),) = sql(f"select {column}::text from mcp_sessions")
        assert "clear" not in stored


async def test_an_update_during_the_sealing_is_kept(
    stack: SupabaseStack, sql: Any, session: Any, key: str, wire: Any, backend_on: Any
) -> None:
    """Between the read and the write another handle replaces the clear tokens. They must not come back."""
    async with backend_on(stack) as plain, backend_on(stack, wire, encryption_key=key) as backend:
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


async def test_an_update_is_not_lost_where_others_write_all_the_time(
    stack: SupabaseStack, session: Any, key: str, wire: Any, backend_on: Any
) -> None:
    async with backend_on(stack) as plain, backend_on(stack, wire, encryption_key=key) as backend:
        await plain.create_session(session(tokens={"count": 0}))

        async def write(request: httpx.Request) -> None:
            if request.method == "GET":
                await plain.update_session("alice", "s1", {"tokens": {"count": len(wire.requests)}})

        wire.then = write
        await backend.update_session("alice", "s1", {"server_name": "named"})
        seen = await plain.get_session("alice", "s1")
        assert seen is not None
        assert seen.server_name == "named"
        assert wire.methods.count("GET") == SEALING_ATTEMPTS


async def test_a_session_that_expires_before_the_sealing_is_not_brought_back(
    stack: SupabaseStack, session: Any, key: str, wire: Any, backend_on: Any
) -> None:
    now = 1_800_000_000.0
    async with (
        backend_on(stack, clock=lambda: now) as plain,
        backend_on(stack, wire, encryption_key=key, clock=lambda: now) as backend,
    ):
        await plain.create_session(session(tokens={}))

        async def wait(request: httpx.Request) -> None:
            nonlocal now
            if request.method == "GET":
                now += 5

        wire.then = wait
        await backend.update_session("alice", "s1", {"active": True}, 5)
        assert wire.methods == ["PATCH", "GET", "PATCH", "GET"]
        assert await plain.get_session("alice", "s1") is None
