"""The Supabase store against the same requests written with supabase-py, and the time of a listing.

    python benchmarks/supabase_store.py [rounds]

Everything runs on a native stack of this run. The other side is what an application would write: the request, then the
same decoding (JSON, decryption, ``SessionData``). The exit code is 1 if a limit is exceeded.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from paired import Pair, paired, report
from postgrest.types import ReturnMethod
from sample import session
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends import Keyring, SessionData, SupabaseStorageBackend
from reference_backends.core.keyring import new_key
from reference_backends.core.session import FIELDS
from reference_backends.supabase.rows import SESSION_COLUMNS

ALICE, THOUSAND, MANY = "alice", "identity-of-1000", "identity-of-2500"
SEALED = ("tokens", "headers")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

FILLING = """
    insert into public.mcp_sessions
        (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at, tokens)
    select 'filler-' || n, 'filler-' || n %% 10000, 'filler-' || n %% 10000, 'https://mcp.example', 'sse', '',
        now() + interval '1 day', '{"access_token": "t"}'
    from generate_series(%s::int, %s::int) n
"""


class ByHand:
    """The same requests, written directly."""

    def __init__(self, client: AsyncClient, keyring: Keyring) -> None:
        self.client = client
        self.keyring = keyring

    def decoded(self, row: dict[str, Any]) -> SessionData:
        fields = {name: value for name, value in row.items() if value is not None and name in FIELDS}
        for name in SEALED:
            if name in fields:
                fields[name] = self.keyring.open(fields[name])
        fields["created_at"] = (datetime.fromisoformat(row["created_at"]) - EPOCH) // timedelta(milliseconds=1)
        return SessionData.model_validate(fields)

    async def get(self, identity: str, session_id: str) -> SessionData:
        query = self.client.table("mcp_sessions").select(*SESSION_COLUMNS)
        now = datetime.now(UTC).isoformat()
        found = await query.eq("identity", identity).eq("session_id", session_id).gt("expires_at", now).execute()
        return self.decoded(found.data[0])

    async def create(self, new: SessionData) -> None:
        row = {name: getattr(new, name) for name in SESSION_COLUMNS} | {"user_id": new.identity}
        row |= {name: self.keyring.seal(row[name]) for name in SEALED if row[name] is not None}
        row["created_at"] = (EPOCH + timedelta(milliseconds=new.created_at)).isoformat()
        row["expires_at"] = (datetime.now(UTC) + timedelta(hours=12)).isoformat()
        await self.client.table("mcp_sessions").insert(row, returning=ReturnMethod.minimal).execute()

    async def paged(self, identity: str, *, page: int = 1000) -> list[SessionData]:
        """Read pages by range, as in supabase-py's documentation."""
        rows: list[dict[str, Any]] = []
        now = datetime.now(UTC).isoformat()
        while True:
            query = self.client.table("mcp_sessions").select(*SESSION_COLUMNS)
            query = query.eq("identity", identity).gt("expires_at", now).order("session_id")
            found = (await query.range(len(rows), len(rows) + page - 1).execute()).data
            rows += found
            if len(found) < page:
                return [self.decoded(row) for row in rows]

    async def listed(self, identity: str) -> list[SessionData]:
        """Make one request, which is enough for up to 1,000 rows."""
        query = self.client.table("mcp_sessions").select(*SESSION_COLUMNS)
        found = await query.eq("identity", identity).gt("expires_at", datetime.now(UTC).isoformat()).execute()
        return [self.decoded(row) for row in found.data]


async def against_supabase_py(ours: SupabaseStorageBackend, theirs: ByHand, rounds: int) -> list[Pair]:
    await ours.create_session(session("one", ALICE))
    for start in range(0, 3500, 50):
        identity = THOUSAND if start < 1000 else MANY
        new = (session(f"s{number}", identity) for number in range(start, start + 50))
        await asyncio.gather(*map(ours.create_session, new))
    pairs = []
    for callers in (1, 16):
        pairs.append(
            await paired(
                f"get_session, {callers} callers",
                lambda number: ours.get_session(ALICE, "one"),
                lambda number: theirs.get(ALICE, "one"),
                bar=0.9,
                callers=callers,
                chunk=64,
                rounds=rounds,
            )
        )
        pairs.append(
            await paired(
                f"create_session, {callers} callers",
                lambda number, tag=f"o{callers}-": ours.create_session(session(f"{tag}{number}", "new")),
                lambda number, tag=f"t{callers}-": theirs.create(session(f"{tag}{number}", "new")),
                bar=0.9,
                callers=callers,
                chunk=64,
                rounds=rounds,
            )
        )
        pairs.append(
            await paired(
                f"a listing of 1,000, {callers} callers",
                lambda number: ours.get_identity_sessions_data(THOUSAND),
                lambda number: theirs.listed(THOUSAND),
                bar=0.9,
                callers=callers,
                chunk=callers,
                rounds=rounds,
            )
        )
    pairs.append(
        await paired(
            "a listing of 2,500, against bare paging",
            lambda number: ours.get_identity_sessions_data(MANY),
            lambda number: theirs.paged(MANY),
            bar=1.1,
            at_most=True,
            chunk=1,
            rounds=rounds,
        )
    )
    return pairs


async def among_others(
    stack: SupabaseStack, crowded: SupabaseStorageBackend, alone: SupabaseStorageBackend, rounds: int
) -> list[Pair]:
    """Compare a listing of 100 sessions among rows of others with one in a store that contains nothing else."""
    for store in (crowded, alone):
        await asyncio.gather(*(store.create_session(session(f"among-{number}", "among")) for number in range(100)))
    pairs = []
    filled = 0
    async with await psycopg.AsyncConnection.connect(str(stack.database_url), autocommit=True) as database:
        for others in (10_000, 1_000_000):
            await database.execute(FILLING, (filled + 1, others))
            filled = others
            await database.execute("vacuum analyze public.mcp_sessions")
            pairs.append(
                await paired(
                    f"100 sessions listed among {others:,} rows, against 100 alone",
                    lambda number: crowded.get_identity_sessions_data("among"),
                    lambda number: alone.get_identity_sessions_data("among"),
                    bar=1.2,
                    at_most=True,
                    rounds=rounds,
                )
            )
    return pairs


async def run(server: SupervisedServer, rounds: int) -> int:
    key = new_key()
    async with httpx.AsyncClient(timeout=60) as http:

        async def opened(stack: SupabaseStack) -> tuple[AsyncClient, SupabaseStorageBackend]:
            client = await acreate_client(stack.url, str(stack.service_role_key), AsyncClientOptions(httpx_client=http))
            backend = SupabaseStorageBackend(client, encryption_key=key)
            await backend.init()
            return client, backend

        client, ours = await opened(server.store())
        pairs = await against_supabase_py(ours, ByHand(client, Keyring(key)), rounds)
        crowd = server.store()
        _, crowded = await opened(crowd)
        _, alone = await opened(server.store())
        pairs += await among_others(crowd, crowded, alone, rounds)
    for pair in pairs:
        print(pair)
    return report(pairs)


if __name__ == "__main__":
    with native.start() as server:
        sys.exit(asyncio.run(run(server, int(sys.argv[1]) if sys.argv[1:] else 15)))
