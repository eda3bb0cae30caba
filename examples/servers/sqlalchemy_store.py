"""MCP sessions in any database of SQLAlchemy, through its asyncio API."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Unpack

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

import reference_backends as rb

RECORDS = sa.Table(
    "mcp_records",
    sa.MetaData(),
    sa.Column("identity", sa.Text, primary_key=True),
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
)
COLUMNS = RECORDS.c
logging.getLogger("aiosqlite").setLevel(logging.INFO)  # its DEBUG records hold the parameters: tokens (EN-10)


class SqlAlchemyBackend(rb.BaseBackend):
    """A ``StorageBackend`` over SQLAlchemy: one row for each session. A migration tool may make the table instead."""

    label = "SQLAlchemy"

    def __init__(self, url: str, **options: Unpack[rb.BackendOptions]) -> None:
        super().__init__(**options)
        self.url = url
        self.engine: Any = None
        self._in_flight: set[asyncio.Future[Any]] = set()

    async def init(self) -> None:
        if self.engine is None:
            # pool_pre_ping replaces connections that an outage has cut; hide_parameters keeps tokens out of errors.
            options = {"pool_pre_ping": True, "hide_parameters": True, "pool_size": 5, "max_overflow": 0}
            self.engine = create_async_engine(self.url, **options)
        self._opened()
        await self._run(sa.schema.CreateTable(RECORDS, if_not_exists=True))

    async def create_session(self, session: rb.SessionData, ttl: float | None = None) -> None:
        session = rb.check_session(session)
        values = {"record": json.dumps(self._codec.record(session)), "expires_at": self._expiry(ttl)}
        row = {"identity": session.identity, "session_id": session.session_id, **values}
        expired = sa.delete(RECORDS).where(
            _named(*rb.check_names(session.identity, session.session_id)), self._expired()
        )
        if not await self._run(expired, sa.insert(RECORDS).values(row)):
            raise rb.SessionExistsError(f"session {session.session_id!r} exists already")

    async def update_session(
        self, identity: str, session_id: str, changes: rb.SessionUpdate, ttl: float | None = None
    ) -> None:
        name = rb.check_names(identity, session_id)
        named, expires_at = rb.check_changes(changes), self._expiry(ttl)

        async def update(connection: AsyncConnection) -> int:
            query = sa.select(COLUMNS.record).where(_named(*name), ~self._expired()).with_for_update()
            old = (await connection.execute(query)).scalar()
            if old is None:
                raise rb.SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
            values = {"record": json.dumps(self._codec.updated(json.loads(old), named)), "expires_at": expires_at}
            change = sa.update(RECORDS).where(_named(*name), COLUMNS.record == old).values(values)
            return (await connection.execute(change)).rowcount

        while not await self._transact(update):
            pass  # SQLite has no locks for rows: another update came first

    async def get_session(self, identity: str, session_id: str) -> rb.SessionData | None:
        name = rb.check_names(identity, session_id)
        found = await self._rows(sa.select(COLUMNS.record).where(_named(*name), ~self._expired()))
        return self._codec.session(json.loads(found[0].record)) if found else None

    async def get_identity_sessions_data(self, identity: str) -> list[rb.SessionData]:
        return [self._codec.session(json.loads(row.record)) for row in await self._listing(identity)]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return [row.session_id for row in await self._listing(identity)]

    async def remove_session(self, identity: str, session_id: str) -> None:
        await self._run(sa.delete(RECORDS).where(_named(*rb.check_names(identity, session_id))))

    async def get_all_session_ids(self) -> list[str]:
        return [row.session_id for row in await self._rows(sa.select(COLUMNS.session_id).where(~self._expired()))]

    async def clear_all(self) -> None:
        await self._run(sa.delete(RECORDS))

    async def cleanup_expired_sessions(self) -> None:
        await self._run(sa.delete(RECORDS).where(self._expired()))

    async def disconnect(self) -> None:
        self._closed()
        if self._in_flight:
            await asyncio.wait(self._in_flight)
        engine, self.engine = self.engine, None
        if engine is not None:
            await engine.dispose()

    def _expired(self) -> Any:
        return COLUMNS.expires_at <= self._clock()

    async def _listing(self, identity: str) -> list[Any]:
        mine = COLUMNS.identity == rb.check_identity(identity)
        return await self._rows(sa.select(COLUMNS.session_id, COLUMNS.record).where(mine, ~self._expired()))

    async def _rows(self, query: Any) -> list[Any]:
        async def read(connection: AsyncConnection) -> list[Any]:
            return list((await connection.execute(query)).all())

        return await self._transact(read)

    async def _run(self, *statements: Any) -> bool:
        """Return whether the statements were executed. ``False``: the row to insert is there already."""

        async def write(connection: AsyncConnection) -> bool:
            for each in statements:
                await connection.execute(each)
            return True

        return bool(await self._transact(write))

    async def _transact(self, work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
        """Work in one transaction. Raise ``StorageUnavailableError`` if the database does not answer.

        The transaction continues if the caller is cancelled (CA-2). aiosqlite would drop its connection with the lock
        held, and other connections would wait for it until the garbage collector runs.
        """
        self._require_open()
        transaction = asyncio.ensure_future(self._done(work))
        self._in_flight.add(transaction)
        transaction.add_done_callback(self._in_flight.discard)
        return await asyncio.shield(transaction)

    async def _done(self, work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
        try:
            async with self.engine.begin() as connection:
                return await work(connection)
        except sa.exc.IntegrityError:
            return None
        except (sa.exc.SQLAlchemyError, OSError, TimeoutError) as error:
            reason = type(error).__name__
        # Not in the except block: the driver's error holds the statement's parameters (EN-10).
        raise rb.StorageUnavailableError(f"the database did not answer ({reason}); retry")


def _named(identity: str, session_id: str) -> Any:
    return sa.and_(COLUMNS.identity == identity, COLUMNS.session_id == session_id)
