"""The database of a Supabase project, read without PostgREST."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_mcp_storage.stacks.environment_variables import libpq_variables, libpq_variables_ignored
from reference_backends.core.errors import ConfigurationError
from reference_backends.core.record import SECRETS
from reference_backends.supabase.rows import TABLE

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

WAL_SEGMENTS = 8
"""The most segments of the write-ahead log that are read; each has 1 MiB on a server of this run."""

SEGMENTS = "pg_wal/" + "[0-9A-F]" * 24

_FILES = """
    select pg_relation_filepath(oid) from pg_class
    where relkind in ('r', 'i', 't', 'm') and oid >= 16384 and relfilenode <> 0
"""
_TABLES = """
    select schemaname, tablename from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')
"""


class LogPosition(NamedTuple):
    """A position in the write-ahead log: a segment's file, and the byte in it."""

    segment: str
    offset: int


class Database:
    """One connection, of a role that bypasses row security.

    ``data_directory``: PostgreSQL's files, if this run started the server and can read them.
    """

    def __init__(self, connection: psycopg.AsyncConnection, data_directory: Path | None) -> None:
        self._connection = connection
        self._data_directory = data_directory
        self._log_start = LogPosition("", 0)

    @classmethod
    async def connect(cls, url: str, data_directory: Path | None = None, *, owned: bool = False) -> Database:
        """Connect to ``url``; libpq's environment variables are ignored if this run started the server (``owned``).

        Raises :class:`ConfigurationError` if that fails.
        """
        import psycopg

        try:
            with libpq_variables_ignored() if owned else contextlib.nullcontext():
                connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.Error as error:
            reason = type(error).__name__  # its text contains the connection string
        else:
            reason = ""
        if reason and owned:
            raise ConfigurationError(f"the database of the stack that this run started can't be reached ({reason})")
        if reason:
            names = ", ".join(["SUPABASE_DB_URL", *libpq_variables(os.environ)])
            raise ConfigurationError(f"the database can't be reached ({reason}); check {names}")
        database = cls(connection, data_directory)
        if data_directory is not None:
            database._log_start = await database._log_position()
        return database

    async def close(self) -> None:
        await self._connection.close()

    async def execute(self, statement: str) -> None:
        """Run a statement that is part of this package."""
        await self._connection.execute(statement.encode())

    async def everything(self) -> bytes:
        """Yield every row of every table, and the files of the database with the current write-ahead log.

        On a server that this run did not start, yield only the rows of the session table.
        """
        folder = self._data_directory
        if folder is None:
            return await self._rows("public", TABLE)
        cursor = await self._connection.execute(_TABLES)
        rows = [await self._rows(schema, table) for schema, table in await cursor.fetchall()]
        await self._connection.execute("checkpoint")
        cursor = await self._connection.execute(_FILES)
        files = [path for (path,) in await cursor.fetchall()]
        log_end = await self._log_position()
        contents = await asyncio.to_thread(_files, folder, files)
        log = await asyncio.to_thread(_log, folder, self._log_start, log_end)
        return b"".join((*rows, *contents, *log))

    async def secrets(self, identity: str, session_id: str) -> Mapping[str, Any]:
        """Return the secret columns of a session's row, expired or not. Raises ``LookupError`` if there is no row."""
        from psycopg.sql import SQL, Identifier

        query = SQL("select {columns} from public.{table} where identity = %s and session_id = %s").format(
            columns=SQL(", ").join(map(Identifier, SECRETS)), table=Identifier(TABLE)
        )
        row = await (await self._connection.execute(query, (identity, session_id))).fetchone()
        if row is None:
            raise LookupError(f"no row of session {session_id!r}")
        return dict(zip(SECRETS, row, strict=True))

    async def plant(self, identity: str, session_id: str, column: str, value: Any) -> None:
        """Store ``value`` in a JSONB column of a session's row. Raises ``LookupError`` if there is no row."""
        from psycopg.sql import SQL, Identifier
        from psycopg.types.json import Jsonb

        statement = SQL("update public.{table} set {column} = %s where identity = %s and session_id = %s").format(
            table=Identifier(TABLE), column=Identifier(column)
        )
        stored = None if value is None else Jsonb(value)
        if (await self._connection.execute(statement, (stored, identity, session_id))).rowcount != 1:
            raise LookupError(f"no row of session {session_id!r}")

    async def _rows(self, schema: str, table: str) -> bytes:
        """Yield the rows in PostgreSQL's binary copy format: each column's text without escapes."""
        from psycopg.sql import SQL, Identifier

        query: Composed = SQL("copy {table} to stdout (format binary)").format(table=Identifier(schema, table))
        async with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            return b"".join([bytes(part) async for part in copy])

    async def _log_position(self) -> LogPosition:
        query = "select * from pg_walfile_name_offset(pg_current_wal_insert_lsn())"
        row = await (await self._connection.execute(query)).fetchone()
        assert row is not None
        return LogPosition(*row)


def _files(data_directory: Path, names: list[str]) -> list[bytes]:
    """Return the files of relations, with the segments after the first gigabyte."""
    return [path.read_bytes() for name in names for path in data_directory.glob(f"{name}*")]


def _log(data_directory: Path, start: LogPosition, end: LogPosition) -> list[bytes]:
    """Yield what was written to the log between two positions, if its last segments still contain it."""
    segments = [path for path in sorted(data_directory.glob(SEGMENTS)) if start.segment <= path.name <= end.segment]
    parts = [path.read_bytes() for path in segments[-WAL_SEGMENTS:]]
    if segments:
        parts[-1] = parts[-1][: end.offset]
    if len(segments) <= WAL_SEGMENTS and segments and segments[0].name == start.segment:
        parts[0] = parts[0][start.offset :]
    return parts
