"""The gateway's keys, and what it forwards."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
import pytest

from pytest_mcp_storage.stacks.supabase.gateway import Gateway
from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from tests.stacks.supabase.conftest import ROW, Rest, listed


@pytest.fixture
def stocked(stack: SupabaseStack, rest: Rest) -> SupabaseStack:
    """Return a stack with one row, alice's."""
    rest(stack, "mcp_sessions", method="POST", json=ROW).raise_for_status()
    return stack


@pytest.mark.parametrize(
    ("key", "rows"),
    [("anon_key", []), ("publishable_key", []), ("service_role_key", ["s1"]), ("secret_key", ["s1"])],
)
@pytest.mark.parametrize("bearer", [True, False])
def test_each_key_is_replaced_by_its_role(
    stocked: SupabaseStack, rest: Rest, key: str, rows: list[str], bearer: bool
) -> None:
    value = getattr(stocked, key)
    assert listed(rest(stocked, "mcp_sessions", key=value, user=value if bearer else None)) == rows


def test_a_users_token_goes_before_the_key(stocked: SupabaseStack, rest: Rest) -> None:
    for key in (stocked.anon_key, stocked.secret_key):
        assert listed(rest(stocked, "mcp_sessions", key=key, user=stocked.token("alice"))) == ["s1"]
        assert listed(rest(stocked, "mcp_sessions", key=key, user=stocked.token("bob"))) == []


def test_an_expired_token_is_refused(stocked: SupabaseStack, rest: Rest) -> None:
    answer = rest(stocked, "mcp_sessions", key=stocked.anon_key, user=stocked.token("alice", lifetime=-60))
    assert answer.status_code == 401
    assert answer.json()["code"] == "PGRST301"


def test_a_wrong_key_and_none_at_all_are_refused(stocked: SupabaseStack, rest: Rest) -> None:
    wrong = rest(stocked, "mcp_sessions", key="sb_secret_wrong", user=stocked.service_role_key)
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Invalid API key")
    none = httpx.get(f"{stocked.url}/rest/v1/mcp_sessions")
    assert (none.status_code, none.json()["message"]) == (401, "No API key found in request")


def test_nothing_but_rest_v1_is_served(stocked: SupabaseStack) -> None:
    for path in ("/", "/mcp_sessions", "/rest/v2/mcp_sessions", "/rest/v1x"):
        assert httpx.get(stocked.url + path, headers={"apikey": str(stocked.secret_key)}).status_code == 404


def test_queries_arrive_as_they_were_sent(stack: SupabaseStack, rest: Rest) -> None:
    odd = 'a b&c=d%2F"é\\+,(x)'
    rest(stack, "mcp_sessions", method="POST", json={**ROW, "session_id": odd}).raise_for_status()
    quoted = odd.replace("\\", "\\\\").replace('"', '\\"')
    found = rest(stack, "mcp_sessions", params={"session_id": f'in.("{quoted}")', "select": "session_id"})
    assert found.json() == [{"session_id": odd}]


def test_answers_keep_their_headers(stocked: SupabaseStack, rest: Rest) -> None:
    answer = rest(stocked, "mcp_sessions", method="HEAD", headers={"Prefer": "count=exact"})
    assert answer.headers["Content-Range"] == "0-0/1"
    assert answer.content == b""


def test_an_ended_postgrest_is_a_server_error(server: SupervisedServer, stack: SupabaseStack, rest: Rest) -> None:
    name = list(server.facts()["postgrest"])[-1]
    os.kill(server.facts()["postgrest"][name], signal.SIGKILL)
    assert rest(stack, "mcp_sessions").status_code == 503


def test_an_answer_that_breaks_off_is_not_made_whole() -> None:
    """PostgREST ends in the middle of a long answer. A stand-in does that, because it can't be timed."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n")
        writer.write(b"[" + b" " * 2_000_000)
        await writer.drain()
        writer.close()

    async def ask() -> None:
        upstream = await asyncio.start_server(break_off, "127.0.0.1", 0)
        keys = ProjectKeys.generate()
        gateway = Gateway(keys, f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}")
        await gateway.start()
        async with httpx.AsyncClient(base_url=gateway.url, headers={"apikey": keys.secret}) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/rest/v1/mcp_sessions")
        await gateway.stop()
        upstream.close()

    asyncio.run(ask())
