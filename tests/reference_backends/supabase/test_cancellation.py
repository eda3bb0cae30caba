"""The client loses no connection if a call is cancelled, and ``disconnect`` waits for the request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pytest_mcp_storage.engine.suspensions import Interrupted
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends.supabase import project
from reference_backends.supabase.project import SupabaseProjectBackend


async def cancelled_at(point: int, call: Any) -> None:
    async def caller() -> None:
        task = asyncio.current_task()
        assert task is not None
        await Interrupted(call, point, task.cancel)

    await asyncio.wait([asyncio.ensure_future(caller())])


async def test_cancelled_calls_use_up_no_connection(
    stack: SupabaseStack, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without protection, httpcore would lose a connection that has just been made. Here it may have two."""
    monkeypatch.setattr(project, "AT_ONCE", 2)
    assert stack.service_role_key is not None
    backend = SupabaseProjectBackend(stack.url, stack.service_role_key, time_limit=5)
    await backend.init()
    await backend.create_session(session())
    for point in [1, 2, 3, 4, 5] * 3:
        await cancelled_at(point, backend.get_session("alice", "s1"))
    assert await backend.get_session("alice", "s1") == session()
    await backend.disconnect()


async def test_disconnect_waits_for_the_request_of_a_cancelled_call(
    stack: SupabaseStack, session: Any, wire: Any, backend_on: Any
) -> None:
    async with backend_on(stack, wire) as backend:
        await backend.create_session(session())
        await cancelled_at(1, backend.update_session("alice", "s1", {"active": True}))
        await backend.disconnect()
        assert "PATCH" in wire.methods
        await backend.init()
        found = await backend.get_session("alice", "s1")
        assert found is not None
        assert found.active
