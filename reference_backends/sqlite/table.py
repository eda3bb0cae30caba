"""The sessions of one SQLite table, in the layout of ``@mcp-ts/sdk``: ``data`` is the JSON of a camelCase session."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reference_backends.core.errors import StorageError, StorageUnavailableError
from reference_backends.core.record import Record, from_wire
from reference_backends.embedded.backend import Engine
from reference_backends.embedded.filesystem import make_folder, real
from reference_backends.embedded.polling import LOCK_TIMEOUT, attempts
from reference_backends.embedded.rows import decoded, row_text
from reference_backends.sqlite.database import open_database, reopen_database, typed_errors
from reference_backends.sqlite.execute import execute
from reference_backends.sqlite.fork import close_before_forks

# With the + the planner does not use the index on expiresAt. Data is read as a BLOB: sqlite3 puts text that is not
# UTF-8 into the message of its error.
_FIND = """
    SELECT CAST(data AS BLOB) FROM mcp_sessions
    WHERE sessionId = ? AND identity = ? AND (expiresAt IS NULL OR expiresAt > ?)
"""
_FIND_ALL = """
    SELECT sessionId, CAST(data AS BLOB) FROM mcp_sessions
    WHERE identity = ? AND (+expiresAt IS NULL OR +expiresAt > ?)
"""
_IDS_OF = "SELECT sessionId FROM mcp_sessions WHERE identity = ? AND (+expiresAt IS NULL OR +expiresAt > ?)"
_NAMES = "SELECT identity, sessionId FROM mcp_sessions WHERE +expiresAt IS NULL OR +expiresAt > ?"
_INSERT = """
    INSERT INTO mcp_sessions (sessionId, identity, data, expiresAt) VALUES (?, ?, ?, ?)
    ON CONFLICT (sessionId) DO NOTHING RETURNING 1
"""
_SUPERSEDE = """
    UPDATE mcp_sessions SET identity = ?, data = ?, expiresAt = ? WHERE sessionId = ? AND expiresAt <= ? RETURNING 1
"""
_REPLACE = "UPDATE mcp_sessions SET data = ?, expiresAt = ? WHERE sessionId = ? AND identity = ?"
_REWRITE = "UPDATE mcp_sessions SET data = ? WHERE sessionId = ? AND identity = ?"
_DELETE = "DELETE FROM mcp_sessions WHERE sessionId = ? AND identity = ?"
_DELETE_ALL = "DELETE FROM mcp_sessions"
_DELETE_EXPIRED = "DELETE FROM mcp_sessions WHERE expiresAt <= ?"
_SET_MISSING_EXPIRIES = "UPDATE mcp_sessions SET expiresAt = ? WHERE expiresAt IS NULL"
_OF_CALLS = (
    _FIND,
    _FIND_ALL,
    _IDS_OF,
    _NAMES,
    _INSERT,
    _SUPERSEDE,
    _REPLACE,
    _REWRITE,
    _DELETE,
    _DELETE_ALL,
    _DELETE_EXPIRED,
)

_OLD_MARK = "DROP TABLE IF EXISTS mcp_sessions_remnants"
"""Releases up to 0.1 created this table in a database that had to be compacted."""


class SessionTable(Engine):
    """The engine of the SQLite store; ``default_expiry`` is the expiry of rows that have none.

    SQLite keeps a table of the locks that a process holds. After a fork the child has a copy of it but not the locks,
    so it would write without any. So connections are closed before a fork; the next call opens a new one.
    """

    def __init__(self, path: Path, default_expiry: Callable[[], int]) -> None:
        self._path = path
        self._default_expiry = default_expiry
        self._connection: sqlite3.Connection | None = None
        self._status: os.stat_result | None = None
        self._lock = threading.RLock()
        """Held by the thread that uses the connection: the store's thread, or one that forks."""
        close_before_forks(self)

    def open(self) -> None:
        with self._lock:
            if self._status is not None:
                with self.reading():
                    return
            try:
                with typed_errors(self._path):
                    self._path = real(self._path)
                    make_folder(self._path.parent)
                    self._connection = open_database(self._path)
                    self._status = self._path.stat()
                self._try_what_calls_need()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = self._status = None

    def before_fork(self) -> None:
        self._lock.acquire()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def after_fork(self) -> None:
        self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._lock, typed_errors(self._path):
            self._reach()
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._lock, typed_errors(self._path):
            self._reach()
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def find(self, identity: str, session_id: str, now: int) -> Record | None:
        rows = self._execute(_FIND, (session_id, identity, now))
        return _record(identity, session_id, rows[0][0]) if rows else None

    def find_all(self, identity: str, now: int) -> list[Record]:
        return [_record(identity, session_id, data) for session_id, data in self._execute(_FIND_ALL, (identity, now))]

    def ids_of(self, identity: str, now: int) -> list[str]:
        return [session_id for (session_id,) in self._execute(_IDS_OF, (identity, now))]

    def names(self, now: int) -> list[tuple[str, str]]:
        return [(identity, session_id) for identity, session_id in self._execute(_NAMES, (now,))]

    def insert(self, record: Record, expires_at: int, now: int) -> bool:
        session_id, identity, text = record["session_id"], record["identity"], row_text(record)
        if self._execute(_INSERT, (session_id, identity, text, expires_at)):
            return True
        return bool(self._execute(_SUPERSEDE, (identity, text, expires_at, session_id, now)))

    def replace(self, record: Record, expires_at: int) -> None:
        self._execute(_REPLACE, (row_text(record), expires_at, record["session_id"], record["identity"]))

    def rewrite(self, record: Record) -> None:
        self._execute(_REWRITE, (row_text(record), record["session_id"], record["identity"]))

    def delete(self, identity: str, session_id: str) -> None:
        self._execute(_DELETE, (session_id, identity))

    def delete_all(self) -> None:
        self._execute(_DELETE_ALL)

    def delete_expired(self, now: int) -> None:
        self._execute(_SET_MISSING_EXPIRIES, (self._default_expiry(),))
        self._execute(_DELETE_EXPIRED, (now,))

    def compact(self) -> None:
        """Rewrite the database, move the log into it, and empty the log.

        ``secure_delete`` overwrites freed pages and cells. But when rows move between pages, their old bytes stay
        readable until that part of the page is used again. Only ``VACUUM`` removes all of them.
        """
        with self.reading():
            self._execute(_OLD_MARK)
            self._execute("VACUUM")
            for _ in attempts(LOCK_TIMEOUT):
                [(blocked, _, _)] = self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if not blocked:
                    return
        raise StorageUnavailableError(
            f"{self._path} was compacted, but another process reads its log, which may still hold old values; end that "
            "process, then retry"
        )

    def _execute(
        self, sql: str, values: Sequence[object] = (), *, timeout: float = LOCK_TIMEOUT
    ) -> list[tuple[Any, ...]]:
        if self._connection is None:
            raise StorageError("this sqlite store is not open; await init() first")
        return execute(self._connection, sql, values, timeout=timeout)

    def _reach(self) -> None:
        """Raise :class:`StorageUnavailableError` if the database was moved or replaced: writes to it would be lost."""
        try:
            current = os.stat(self._path)
        except FileNotFoundError:
            current = None
        if current is None or self._status is None or not os.path.samestat(current, self._status):
            raise StorageUnavailableError(
                f"{self._path} was moved or replaced; move it back, or disconnect() and init() to open the new one"
            )
        if self._connection is None:  # the process has forked since the last call
            self._connection = reopen_database(self._path)

    def _try_what_calls_need(self) -> None:
        """Compile every statement, and commit one page.

        A trigger, a constraint or an index of another application on this table may need functions that only that
        application has. The commit fails if a disk or a quota is full. It changes only rows without an expiry.
        """
        with self.writing():
            for sql in _OF_CALLS:
                self._execute(f"EXPLAIN {sql}", (None,) * sql.count("?"))
            self._execute(_SET_MISSING_EXPIRIES, (self._default_expiry(),))
            [(version,)] = self._execute("PRAGMA user_version")
            self._execute(f"PRAGMA user_version = {version}")

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")


def _record(identity: str, session_id: str, data: object) -> Record:
    """Return the record in a row. The ids are those of the columns: @mcp-ts/sdk can change those in the JSON."""
    row = decoded(data) if isinstance(data, bytes) else None
    if not isinstance(row, dict):
        raise StorageError(f"the stored session {session_id!r} is damaged: its data is not a JSON object")
    return {**from_wire(row), "identity": identity, "session_id": session_id}
