"""Listings are complete and exact, also if the server cuts pages or changes names."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack


async def test_listings_are_whole_whatever_the_server_cuts(
    small_pages: SupabaseStack, session: Any, wire: Any, backend_on: Any
) -> None:
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


async def test_names_are_distinguished_to_the_letter(small_pages: SupabaseStack, session: Any, backend_on: Any) -> None:
    """Names with white space at an end, and with the characters of filters, also at the end of a page."""
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


async def test_rows_that_go_between_two_pages_shift_nothing(
    small_pages: SupabaseStack, session: Any, wire: Any, backend_on: Any
) -> None:
    async with backend_on(small_pages) as other, backend_on(small_pages, wire) as backend:
        names = [f"s{number:02}" for number in range(20)]
        await asyncio.gather(*(other.create_session(session(name)) for name in names))

        async def remove_one(request: httpx.Request) -> None:
            wire.then = None
            await other.remove_session("alice", "s00")

        for listing in (backend.get_all_session_ids, lambda: backend.get_identity_mcp_sessions("alice")):
            wire.then = remove_one
            assert set(names[1:]) <= set(await listing())


async def test_a_user_with_a_session_id_that_no_url_holds_stops_no_other_listing(
    stack: SupabaseStack, session: Any, backend_on: Any
) -> None:
    """A signed-in user may write it without the store. The listings of the service role still work."""
    endless = "z" * 200_000
    row = dict.fromkeys(("server_url", "callback_url"), "") | {"user_id": "mallory", "identity": "mallory"}
    row |= {"session_id": endless, "transport_type": "sse", "expires_at": "infinity"}
    headers = {"apikey": str(stack.anon_key), "Authorization": f"Bearer {stack.token('mallory')}"}
    async with backend_on(stack) as backend, httpx.AsyncClient(headers=headers) as mallory:
        await backend.create_session(session("s1"))
        written = await mallory.post(f"{stack.url}/rest/v1/mcp_sessions", json=row)
        assert written.status_code == 201
        assert sorted(await backend.get_all_session_ids()) == ["s1", endless]
        await backend.cleanup_expired_sessions()
        await backend.clear_all()
        assert await backend.get_all_session_ids() == []
