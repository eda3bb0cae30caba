"""One SQLite statement at a time: SQLite's own waiting for locks is unfair, so it is done here."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from reference_backends.core.errors import StorageUnavailableError
from reference_backends.embedded.polling import LOCK_TIMEOUT, attempts


def execute(
    connection: sqlite3.Connection, sql: str, values: Sequence[object] = (), *, timeout: float = LOCK_TIMEOUT
) -> list[tuple[object, ...]]:
    """Return all rows of a statement. Try again while another connection holds a lock that it needs."""
    for _ in attempts(timeout):
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY:
                raise
    raise StorageUnavailableError("the database is locked by another process; end that process, or try again")


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; an error of Python's own module has none."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF
