"""The sessions of one SQLite table, in the layout of ``@mcp-ts/sdk``: ``data`` is the JSON of a camelCase session."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reference_backends.database import execute, open_database, typed_errors
from reference_backends.errors import StorageError, StorageUnavailableError
from reference_backends.filesystem import make_folder
from reference_backends.patience import attempts
from reference_backends.record import Record, from_wire
from reference_backends.rows import decoded, row_text

# The + keeps the planner off the index on expiresAt. Data is read as a BLOB: sqlite3 puts text that is not UTF-8 into
# the message of its error.
_FIND = """
    SELECT CAST(data AS BLOB) FROM mcp_sessions
    WHERE sessionId = ? AND identity = ? AND (expiresAt IS NULL OR expiresAt > ?)
"""
_FIND_ALL = """
    SELECT sessionId, CAST(data AS BLOB) FROM mcp_sessions
    WHERE identity = ? AND (+expiresAt IS NULL OR +expiresAt > ?)
"""
_IDS_OF = "SELECT sessionId FROM mcp_sessions WHERE identity = ? AND (+expiresAt IS NULL OR +expiresAt > ?)"
_IDS = "SELECT sessionId FROM mcp_sessions WHERE +expiresAt IS NULL OR +expiresAt > ?"
_INSERT = """
    INSERT INTO mcp_sessions (sessionId, identity, data, expiresAt) VALUES (?, ?, ?, ?)
    ON CONFLICT (sessionId) DO UPDATE
    SET identity = excluded.identity, data = excluded.data, expiresAt = excluded.expiresAt
    WHERE mcp_sessions.expiresAt <= ?
    RETURNING 1
"""
_REPLACE = "UPDATE mcp_sessions SET data = ?, expiresAt = ? WHERE sessionId = ? AND identity = ?"
_DELETE = "DELETE FROM mcp_sessions WHERE sessionId = ? AND identity = ?"
_DELETE_ALL = "DELETE FROM mcp_sessions"
_DELETE_EXPIRED = "DELETE FROM mcp_sessions WHERE expiresAt <= ?"
_ADOPT = "UPDATE mcp_sessions SET expiresAt = ? WHERE expiresAt IS NULL"

SCRUB_PATIENCE = 0.5
"""Seconds to wait for readers of the log before it is emptied; after that it is tried at the next write."""


class SessionTable:
    """The engine of the SQLite store; ``stamp`` is the expiry of rows that have none."""

    def __init__(self, path: Path, stamp: Callable[[], int]) -> None:
        self._path = path
        self._stamp = stamp
        self._connection: sqlite3.Connection | None = None
        self._status: os.stat_result | None = None
        self._scrub_due = False

    def open(self) -> None:
        if self._connection is None:
            with typed_errors(self._path):
                make_folder(self._path.parent)
                self._path = self._path.resolve()
                self._connection = open_database(self._path)
                self._status = self._path.stat()
            with self.writing():
                self._execute(_ADOPT, (self._stamp(),))
        else:
            with self.reading():
                pass

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._scrub()
            self._connection.close()
            self._connection = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        with typed_errors(self._path):
            self._reach()
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        with typed_errors(self._path):
            self._reach()
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        with contextlib.suppress(sqlite3.Error):  # the write itself is done; what is left is tried again
            self._scrub()

    def find(self, identity: str, session_id: str, now: int) -> Record | None:
        rows = self._execute(_FIND, (session_id, identity, now))
        return _record(identity, session_id, rows[0][0]) if rows else None

    def find_all(self, identity: str, now: int) -> list[Record]:
        return [_record(identity, session_id, data) for session_id, data in self._execute(_FIND_ALL, (identity, now))]

    def ids_of(self, identity: str, now: int) -> list[str]:
        return [session_id for (session_id,) in self._execute(_IDS_OF, (identity, now))]

    def ids(self, now: int) -> list[str]:
        return [session_id for (session_id,) in self._execute(_IDS, (now,))]

    def insert(self, record: Record, expires_at: int, now: int) -> bool:
        values = (record["session_id"], record["identity"], row_text(record), expires_at, now)
        return bool(self._execute(_INSERT, values))

    def replace(self, record: Record, expires_at: int) -> None:
        self._execute(_REPLACE, (row_text(record), expires_at, record["session_id"], record["identity"]))

    def delete(self, identity: str, session_id: str) -> None:
        self._execute(_DELETE, (session_id, identity))

    def delete_all(self) -> None:
        self._execute(_DELETE_ALL)

    def delete_expired(self, now: int) -> None:
        self._execute(_ADOPT, (self._stamp(),))
        self._execute(_DELETE_EXPIRED, (now,))

    def scrub(self) -> None:
        self._scrub_due = True

    def _execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        if self._connection is None:
            raise StorageError("this sqlite store is not open; await init() first")
        return execute(self._connection, sql, values)

    def _reach(self) -> None:
        """A database that was moved or replaced still takes writes, and they are lost: refuse."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is None or self._status is None or not os.path.samestat(there, self._status):
            raise StorageUnavailableError(
                f"{self._path} was moved or replaced; bring it back, or disconnect() and init() to begin anew"
            )

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _scrub(self) -> None:
        """Move the log into the database and empty it, where an update has just sealed what lay there in clear."""
        if self._scrub_due:
            for _ in attempts(SCRUB_PATIENCE):
                [(blocked, _, _)] = self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if not blocked:
                    self._scrub_due = False
                    return


def _record(identity: str, session_id: str, data: object) -> Record:
    """The record in a row, with the ids of its columns: upstream lets an update change those in the JSON."""
    row = decoded(data) if isinstance(data, (bytes, str)) else None
    if not isinstance(row, dict):
        raise StorageError(f"the stored session {session_id!r} is damaged: its data is not a JSON object")
    return {**from_wire(row), "identity": identity, "session_id": session_id}
