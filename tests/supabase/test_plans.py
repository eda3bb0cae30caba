"""PostgreSQL's plan of each statement that the store sends, on a large table. No time is measured.

PostgREST prepares and runs the statements in the role of the caller; ``auto_explain`` writes their plans to the
server's log. The plans of 1,000,000 rows (``MCP_STORAGE_PLAN_ROWS=1000000``, a minute) are the same as of the 100,000
rows here. The statistics are up to date.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from supabase import AsyncClientOptions, acreate_client

from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends import SessionData, SessionExistsError, StorageSetupError, SupabaseStorageBackend
from tests.parts import missing

ROWS = int(os.environ.get("MCP_STORAGE_PLAN_ROWS", "100000"))
BIG = 10_000
FILL = f"""
insert into mcp_sessions (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at, tokens)
select 's' || n, who, who, 'https://a', 'sse', 'https://c',
    now() + case when n % 1000 = 0 then -1 else 1 end * interval '1 hour', '{{"access_token": "clear"}}'
from (select n, case when n <= {BIG} then 'big' else 'u' || n % ({ROWS} / 20) end as who
      from generate_series(1, {ROWS}) n) as numbers
"""
SETTINGS = {
    "shared_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_format": "json",
}
SCANS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan", "Bitmap Heap Scan")


class Plans:
    """Reads the plans that were added to a server's log since the last call."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.read = 0

    def since(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Yield each statement on the table, with the nodes of its plan that scan the table."""
        text = self.log.read_bytes()[self.read :].decode()
        self.read += len(text.encode())
        plans = []
        for found in re.finditer(r"duration: [\d.]+ ms  plan:\n((?:\t.*\n)+)", text):
            explained = json.loads(found[1])
            if "pgrst_source" in explained["Query Text"]:
                nodes = [node for node in nodes_of(explained["Plan"]) if node["Node Type"] in SCANS]
                plans.append(
                    (explained["Query Text"], [node for node in nodes if "pgrst" not in str(node.get("Alias"))])
                )
        return plans


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes_of(child)


@pytest.fixture(scope="module")
def explaining() -> Iterator[SupervisedServer]:
    try:
        server = native.start(settings=SETTINGS)
    except StorageSetupError as error:
        if "auto_explain" not in str(error):
            raise
        missing("query plan", "this PostgreSQL has no auto_explain", "make parts, as root on Debian or Ubuntu")
    with server:
        yield server


@pytest.fixture(scope="module")
def large(explaining: SupervisedServer) -> SupabaseStack:
    stack = explaining.store()
    with psycopg.connect(str(stack.database_url), autocommit=True) as database:
        database.execute("set auto_explain.log_min_duration = -1")
        database.execute(FILL.encode())
        database.execute("vacuum analyze mcp_sessions")
    return stack


@pytest.mark.parametrize("user", [None, "u7", "big"])
async def test_each_statement_of_the_store_uses_an_index(
    explaining: SupervisedServer, large: SupabaseStack, user: str | None
) -> None:
    plans = Plans(Path(explaining.facts()["folder"]) / "postgres.log")
    plans.since()
    me = user or "u7"
    session = SessionData(
        session_id="new", identity=me, server_url="", transport_type="sse", callback_url="", created_at=0
    )
    login = {} if user is None else {"Authorization": f"Bearer {large.token(user)}"}
    key = str(large.service_role_key if user is None else large.anon_key)
    async with httpx.AsyncClient(timeout=120) as http:
        client = await acreate_client(large.url, key, AsyncClientOptions(httpx_client=http, headers=login))
        backend = SupabaseStorageBackend(client, encryption_key="ab" * 32, seal_all=True, time_limit=120)
        await backend.init()
        await backend.create_session(session)
        with pytest.raises(SessionExistsError):
            await backend.create_session(session)
        await backend.update_session(me, "new", {"active": True})
        await backend.get_identity_sessions_data(me)
        await backend.get_identity_mcp_sessions(me)
        await backend.get_session(me, "new")
        await backend.remove_session(me, "new")
        await backend.cleanup_expired_sessions()
        if user is not None:
            await backend.get_all_session_ids()
            await backend.clear_all()
        else:  # the complete table; three pages are enough for the plan
            pages = backend._table.pages("session_id", "id", live_at="2000-01-01T00:00:00Z")
            for _ in range(3):
                await anext(pages)
            await backend._table.rows(backend._table.reading("id").order("id").limit(1).offset(999))
    seen = plans.since()
    assert len(seen) >= 12
    for statement, nodes in seen:
        kinds = [node["Node Type"] for node in nodes]
        assert "Seq Scan" not in kinds, statement
        assert kinds or statement.startswith("WITH pgrst_source AS (INSERT"), statement
        if user is not None:  # only the user's rows are read
            for node in nodes:
                reads = node["Node Type"] == "Bitmap Heap Scan" or "Index Cond" in node
                assert reads, (statement, node)
