"""MCP sessions in PostgreSQL, through asyncpg."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Unpack

import asyncpg

import reference_backends as rb

# The lock is for handles that are opened at the same time: "if not exists" alone can fail then.
TABLE = """
select pg_advisory_xact_lock(7268);
create table if not exists mcp_records (
    identity text, session_id text, record text not null, expires_at double precision not null,
    primary key (identity, session_id)
)"""
CREATE = """
insert into mcp_records values ($1, $2, $3, $4) on conflict (identity, session_id)
do update set record = excluded.record, expires_at = excluded.expires_at where mcp_records.expires_at <= $5
returning session_id"""
UPDATE = """
update mcp_records set record = $3, expires_at = $4 where identity = $1 and session_id = $2 and record = $5
returning session_id"""
ONE = "select record from mcp_records where identity = $1 and session_id = $2 and expires_at > $3"
LIST = "select session_id, record from mcp_records where identity = $1 and expires_at > $2"


class AsyncpgBackend(rb.BaseBackend):
    """A ``StorageBackend`` over asyncpg: one row for each session, one statement for each change."""

    label = "asyncpg"

    def __init__(self, dsn: str, **options: Unpack[rb.BackendOptions]) -> None:
        super().__init__(**options)
        self.dsn = dsn
        self.pool: Any = None
        self.opening = asyncio.Lock()

    async def init(self) -> None:
        async with self.opening:
            if self.pool is None:
                # Both limits are below the harness's time_limit: a server that is silent counts as unreachable.
                options = {"min_size": 0, "max_size": 5, "timeout": 3, "command_timeout": 5}
                self.pool = await asyncpg.create_pool(self.dsn, **options)
            self._opened()
            await self._call("execute", TABLE)

    async def create_session(self, session: rb.SessionData, ttl: float | None = None) -> None:
        session = rb.check_session(session)
        record = json.dumps(self._codec.record(session))
        name = session.identity, session.session_id
        if not await self._fetch(CREATE, *name, record, self._expiry(ttl), self._clock()):
            raise rb.SessionExistsError(f"session {session.session_id!r} exists already")

    async def update_session(
        self, identity: str, session_id: str, changes: rb.SessionUpdate, ttl: float | None = None
    ) -> None:
        name = rb.check_names(identity, session_id)
        named, expires_at = rb.check_changes(changes), self._expiry(ttl)
        while True:
            rows = await self._fetch(ONE, *name, self._clock())
            if not rows:
                raise rb.SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
            old = rows[0]["record"]
            new = json.dumps(self._codec.updated(json.loads(old), named))
            if await self._fetch(UPDATE, *name, new, expires_at, old):  # else another update came first: read again
                return

    async def get_session(self, identity: str, session_id: str) -> rb.SessionData | None:
        rows = await self._fetch(ONE, *rb.check_names(identity, session_id), self._clock())
        return self._codec.session(json.loads(rows[0]["record"])) if rows else None

    async def get_identity_sessions_data(self, identity: str) -> list[rb.SessionData]:
        rows = await self._fetch(LIST, rb.check_identity(identity), self._clock())
        return [self._codec.session(json.loads(row["record"])) for row in rows]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return [row["session_id"] for row in await self._fetch(LIST, rb.check_identity(identity), self._clock())]

    async def remove_session(self, identity: str, session_id: str) -> None:
        name = rb.check_names(identity, session_id)
        await self._fetch("delete from mcp_records where identity = $1 and session_id = $2", *name)

    async def get_all_session_ids(self) -> list[str]:
        rows = await self._fetch("select session_id from mcp_records where expires_at > $1", self._clock())
        return [row["session_id"] for row in rows]

    async def clear_all(self) -> None:
        await self._fetch("delete from mcp_records")

    async def cleanup_expired_sessions(self) -> None:
        await self._fetch("delete from mcp_records where expires_at <= $1", self._clock())

    async def disconnect(self) -> None:
        self._closed()
        pool, self.pool = self.pool, None
        if pool is not None:
            await pool.close()

    async def _fetch(self, query: str, *arguments: Any) -> list[Any]:
        return await self._call("fetch", query, *arguments)

    async def _call(self, method: str, query: str, *arguments: Any) -> Any:
        """Run SQL. Raise ``StorageUnavailableError`` if the server does not answer."""
        self._require_open()
        try:
            return await getattr(self.pool, method)(query, *arguments)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reason = type(error).__name__
        raise rb.StorageUnavailableError(
            f"PostgreSQL did not answer ({reason}); retry"
        )  # not in the except block: EN-10
