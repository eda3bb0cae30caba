"""Clients of the service role, of a user, and of no user, on one event loop or several."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from typing import Any

import httpx
import pytest
from supabase import AsyncClientOptions, acreate_client, create_client

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends import (
    ConfigurationError,
    StorageError,
    SupabaseStorageBackend,
    create_supabase_storage_backend,
)
from reference_backends.supabase.project import SupabaseProjectBackend


async def test_a_user_keeps_their_own_sessions(
    stack: SupabaseStack, caplog: pytest.LogCaptureFixture, session: Any, key: str, in_clear: Any, client_of: Any
) -> None:
    caplog.set_level(logging.INFO, "reference_backends")
    async with client_of(stack, user="alice") as client:
        backend = create_supabase_storage_backend(client, encryption_key=key)
        await backend.init()
        await backend.init()
        await backend.create_session(session(**in_clear))
        await backend.update_session("alice", "s1", {"active": True})
        assert await backend.get_session("alice", "s1") == session(active=True, **in_clear)
        with pytest.raises(StorageError, match="service role"):
            await backend.create_session(session("s2", "bob"))
        await backend.clear_all()
        assert await backend.get_all_session_ids() == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert "[mcp-storage] supabase: table mcp_sessions verified" in caplog.messages


@pytest.mark.parametrize("of_the_stack", ["anon_key", "publishable_key"])
async def test_the_anon_key_is_warned_of(
    stack: SupabaseStack, of_the_stack: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with httpx.AsyncClient() as http:
        client = await acreate_client(stack.url, getattr(stack, of_the_stack), AsyncClientOptions(httpx_client=http))
        backend = SupabaseStorageBackend(client, encryption_key=key)
        await backend.init()
        await backend.init()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "SUPABASE_ANON_KEY" in warning
    assert "SUPABASE_SERVICE_ROLE_KEY" in warning


@pytest.mark.parametrize("variable", ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "MY_KEY"])
@pytest.mark.parametrize("of_the_stack", ["anon_key", "publishable_key"])
async def test_the_warning_names_the_variable_that_held_the_public_key(
    stack: SupabaseStack, variable: str, of_the_stack: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The variable for the secret key may hold a public key."""
    backend = SupabaseProjectBackend(
        stack.url, getattr(stack, of_the_stack), variable=variable, encryption_key="ab" * 32
    )
    await backend.init()
    await backend.disconnect()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"supabase: {variable} is used for server-side storage" in warning


async def test_a_client_with_all_its_defaults_does(stack: SupabaseStack, session: Any, key: str) -> None:
    """Supabase-py warns about an argument that it uses itself, and warnings are errors in this run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        client = await acreate_client(stack.url, str(stack.service_role_key))
    backend = SupabaseStorageBackend(client, encryption_key=key)
    await backend.init()
    await backend.create_session(session())
    assert await backend.get_identity_mcp_sessions("alice") == ["s1"]
    await client.postgrest.aclose()
    await client.auth.close()


async def test_disconnect_leaves_the_client_open(stack: SupabaseStack, key: str, client_of: Any) -> None:
    async with client_of(stack) as client:
        backend = SupabaseStorageBackend(client, encryption_key=key)
        await backend.init()
        await backend.disconnect()
        with pytest.raises(StorageError, match="init"):
            await backend.get_session("alice", "s1")
        assert (await client.table("mcp_sessions").select("session_id").execute()).data == []
        await backend.init()
        assert await backend.get_session("alice", "s1") is None


def test_another_event_loop_is_refused(stack: SupabaseStack, key: str) -> None:
    async def open_it() -> SupabaseStorageBackend:
        http = httpx.AsyncClient()
        client = await acreate_client(stack.url, str(stack.service_role_key), AsyncClientOptions(httpx_client=http))
        backend = SupabaseStorageBackend(client, encryption_key=key)
        await backend.init()
        return backend

    backend = asyncio.run(open_it())
    with pytest.raises(StorageError, match="another event loop") as raised:
        asyncio.run(backend.get_all_session_ids())
    assert raised.value.__context__ is None
    del backend, raised
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # connections that the first loop left open can't be closed any more


def test_the_sync_client_is_refused(key: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = create_client("http://127.0.0.1:9", "key")
    with pytest.raises(ConfigurationError, match="acreate_client"):
        SupabaseStorageBackend(client)  # type: ignore[arg-type]
