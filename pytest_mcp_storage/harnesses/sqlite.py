"""The SQLite store; the harness reads it through a separate connection."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.harnesses.folder import SECRETS, FolderHarness

if TYPE_CHECKING:
    from reference_backends import Clock, SqliteStorageBackend


class SqliteHarness(FolderHarness):
    """Drives :class:`reference_backends.SqliteStorageBackend`."""

    name: ClassVar[str] = "sqlite"
    file_name: ClassVar[str] = "sessions.db"

    def __init__(self) -> None:
        super().__init__()
        self._descriptors: dict[tuple[int, int], int] = {}

    async def __aexit__(self, *exc: object) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])
        await super().__aexit__(*exc)

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> SqliteStorageBackend:
        from reference_backends import SqliteStorageBackend

        backend = SqliteStorageBackend(self.path, **backend_options(encryption_key, clock, default_ttl))
        await backend.init()
        return backend

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        with self._connection() as connection:
            row = _row(connection, identity, session_id)
        return {field: row.get(name) for field, name in SECRETS.items()}

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        with self._connection() as connection:
            row = _row(connection, identity, session_id)
            row[SECRETS[field]] = value
            connection.execute(
                "UPDATE mcp_sessions SET data = ? WHERE identity = ? AND sessionId = ?",
                (json.dumps(row), identity, session_id),
            )

    def _content(self, file: Path) -> bytes:
        """Read a file through a descriptor that stays open until the harness ends.

        Closing it would release the POSIX locks that SQLite's connections in this process hold on the file.
        """
        if not hasattr(os, "pread"):  # Windows, whose locks belong to the descriptor
            return super()._content(file)
        status = file.stat()
        inode = status.st_dev, status.st_ino
        if inode not in self._descriptors:
            self._descriptors[inode] = os.open(file, os.O_RDONLY)
        return os.pread(self._descriptors[inode], status.st_size, 0)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        uri = f"file:{quote(str(self.path))}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=self.time_limit)) as connection:
            yield connection


def _row(connection: sqlite3.Connection, identity: str, session_id: str) -> dict[str, Any]:
    found = connection.execute(
        "SELECT data FROM mcp_sessions WHERE identity = ? AND sessionId = ?", (identity, session_id)
    ).fetchone()
    if found is None:
        raise LookupError("the database has no such session")
    row: dict[str, Any] = json.loads(found[0])
    return row
