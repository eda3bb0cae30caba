"""Execute one SQLite statement, and wait for locks here: SQLite's own waiting is unfair."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from reference_backends.core.errors import StorageUnavailableError
from reference_backends.embedded.polling import LOCK_TIMEOUT, attempts


def execute(
    connection: sqlite3.Connection, sql: str, values: Sequence[object] = (), *, timeout: float = LOCK_TIMEOUT
) -> list[tuple[object, ...]]:
    """Return all rows of a statement. Retry while another connection holds a lock that it needs."""
    for _ in attempts(timeout):
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY:
                raise
    raise StorageUnavailableError("the database is locked by another process; end that process, or retry")


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code. An error that Python's module raises by itself has none."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF
