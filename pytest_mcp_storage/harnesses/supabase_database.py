"""A look into the database behind a Supabase project, past PostgREST."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_backends.errors import ConfigurationError
from reference_backends.supabase_rows import SECRET_COLUMNS, TABLE

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

WAL_SEGMENTS = 8
"""How many segments of the write-ahead log, of 1 MiB each on our own server, are read at most."""

_FILES = """
    select pg_relation_filepath(oid) from pg_class
    where relkind in ('r', 'i', 't', 'm') and oid >= 16384 and relfilenode <> 0
"""
_TABLES = """
    select schemaname, tablename from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')
"""


class Database:
    """One connection, of a role that row security does not bind.

    ``data_directory``: PostgreSQL's own files, where the server is this run's and they can be read.
    """

    def __init__(self, connection: psycopg.AsyncConnection, data_directory: Path | None) -> None:
        self._connection = connection
        self._data_directory = data_directory
        self._first_segment = ""

    @classmethod
    async def connect(cls, url: str, data_directory: Path | None = None) -> Database:
        """Connect to ``url``. Raises :class:`ConfigurationError` where that fails."""
        import psycopg

        try:
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.Error as error:
            reason = type(error).__name__  # its text shows the connection string
        else:
            reason = ""
        if reason:
            raise ConfigurationError(f"the database can't be reached ({reason}); check SUPABASE_DB_URL")
        database = cls(connection, data_directory)
        if data_directory is not None:
            database._first_segment = await database._segment()
        return database

    async def close(self) -> None:
        await self._connection.close()

    async def execute(self, statement: str) -> None:
        """Run a statement of this project's own."""
        await self._connection.execute(statement.encode())

    async def everything(self) -> bytes:
        """Every row of every table, and the files of the database with the log that is being written.

        On a server that is somebody else's: the rows of the session table alone.
        """
        if self._data_directory is None:
            return await self._rows("public", TABLE)
        cursor = await self._connection.execute(_TABLES)
        rows = [await self._rows(schema, table) for schema, table in await cursor.fetchall()]
        await self._connection.execute("checkpoint")
        cursor = await self._connection.execute(_FILES)
        files = [path for (path,) in await cursor.fetchall()]
        segments = (self._first_segment, await self._segment())
        return b"".join(rows) + await asyncio.to_thread(_read, self._data_directory, files, segments)

    async def secrets(self, identity: str, session_id: str) -> Mapping[str, Any]:
        """The secret columns of a session's row, expired or not. Raises ``LookupError`` where there is none."""
        from psycopg.sql import SQL, Identifier

        query = SQL("select {columns} from public.{table} where identity = %s and session_id = %s").format(
            columns=SQL(", ").join(map(Identifier, SECRET_COLUMNS)), table=Identifier(TABLE)
        )
        row = await (await self._connection.execute(query, (identity, session_id))).fetchone()
        if row is None:
            raise LookupError(f"no row of session {session_id!r}")
        return dict(zip(SECRET_COLUMNS, row, strict=True))

    async def plant(self, identity: str, session_id: str, column: str, value: Any) -> None:
        """Store ``value`` in a JSONB column of a session's row. Raises ``LookupError`` where there is none."""
        from psycopg.sql import SQL, Identifier
        from psycopg.types.json import Jsonb

        statement = SQL("update public.{table} set {column} = %s where identity = %s and session_id = %s").format(
            table=Identifier(TABLE), column=Identifier(column)
        )
        stored = None if value is None else Jsonb(value)
        if (await self._connection.execute(statement, (stored, identity, session_id))).rowcount != 1:
            raise LookupError(f"no row of session {session_id!r}")

    async def _rows(self, schema: str, table: str) -> bytes:
        """The rows as PostgreSQL's binary copy has them: the text of each column as it stands, without escapes."""
        from psycopg.sql import SQL, Identifier

        query: Composed = SQL("copy {table} to stdout (format binary)").format(table=Identifier(schema, table))
        async with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            return b"".join([bytes(part) async for part in copy])

    async def _segment(self) -> str:
        row = await (await self._connection.execute("select pg_walfile_name(pg_current_wal_insert_lsn())")).fetchone()
        assert row is not None
        return str(row[0])


def _read(data_directory: Path, files: list[str], segments: tuple[str, str]) -> bytes:
    """The files of relations with their further gigabytes, and the log segments between two, both included."""
    paths = [path for name in files for path in data_directory.glob(f"{name}*")]
    log = sorted(data_directory.glob("pg_wal/" + "[0-9A-F]" * 24))
    paths += [path for path in log if segments[0] <= path.name <= segments[1]][-WAL_SEGMENTS:]
    return b"".join(path.read_bytes() for path in paths)
