"""``reseal`` on the Supabase store seals every session under the first key and keeps its remaining TTL."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends.maintenance.resealing import reseal

OLD, THIRD = "1" * 64, "3" * 64


@pytest.mark.parametrize("seal_all", [False, True])
async def test_every_session_is_under_the_first_key_and_ends_when_it_would(
    stack: SupabaseStack, sql: Any, seal_all: bool, session: Any, key: str, in_clear: Any, backend_on: Any
) -> None:
    everything = "select session_id, to_jsonb(mcp_sessions) from mcp_sessions order by session_id"
    async with (
        backend_on(stack) as plain,
        backend_on(stack, encryption_key=OLD, seal_all=True) as old,
        backend_on(stack, encryption_key=[key, OLD], seal_all=seal_all) as both,
        backend_on(stack, encryption_key=key, seal_all=seal_all) as alone,
    ):
        await plain.create_session(session("s1", **in_clear), ttl=1000)
        await old.create_session(session("s2", **in_clear), ttl=2000)
        await alone.create_session(session("s3"))
        before = dict(sql(everything))
        context = await reseal(both, dry_run=True)
        assert (context.sealed, context.current, dict(sql(everything))) == (2, 1, before)
        result = await reseal(both)
        assert (result.sealed, result.current, result.complete) == (2, 1, True)
        assert "VACUUM" in result.to_do
        after = dict(sql(everything))
        assert {name: row["expires_at"] for name, row in after.items()} == {
            name: row["expires_at"] for name, row in before.items()
        }
        assert "clear-token" not in repr(after)
        assert ("clear-verifier" in repr(after)) is not seal_all
        assert (await reseal(both)).current == 3
        for name in ("s1", "s2"):
            assert await alone.get_session("alice", name) == session(name, **in_clear)


async def test_what_no_key_opens_is_named(
    stack: SupabaseStack, session: Any, key: str, in_clear: Any, backend_on: Any
) -> None:
    async with backend_on(stack, encryption_key=THIRD) as third, backend_on(stack, encryption_key=key) as backend:
        await third.create_session(session(**in_clear))
        result = await reseal(backend)
        assert list(result.refused) == [("alice", "s1")]
        assert (await third.get_session("alice", "s1")) == session(**in_clear)


async def test_what_changes_between_reading_and_sealing_stays_changed(
    stack: SupabaseStack, session: Any, key: str, wire: Any, backend_on: Any
) -> None:
    async with (
        backend_on(stack, encryption_key=OLD) as old,
        backend_on(stack, wire, encryption_key=[key, OLD]) as both,
    ):
        await old.create_session(session("s1", tokens={"a": "old"}))
        await old.create_session(session("s2", tokens={"a": "old"}))

        async def update(request: httpx.Request) -> None:
            if request.method == "GET":
                wire.then = None
                await old.update_session("alice", "s1", {"tokens": {"a": "new"}})

        async def remove(request: httpx.Request) -> None:
            if request.method == "GET":
                wire.then = None
                await old.remove_session("alice", "s2")

        for name, change, answer in (("s1", update, True), ("s2", remove, None)):
            wire.then = change
            assert await both.reseal_session("alice", name) is answer
        async with backend_on(stack, encryption_key=key) as alone:
            assert await alone.get_identity_sessions_data("alice") == [session("s1", tokens={"a": "new"})]
