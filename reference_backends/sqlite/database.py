"""Open a SQLite file: private, durable, and only if the store's part of it is not damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from reference_backends.core.errors import StorageError, StorageSetupError, StorageUnavailableError
from reference_backends.embedded.filesystem import storage_error, tighten, warn_if_exposed
from reference_backends.sqlite.check import SIDE_FILES, inspect, require_regular, side_file, size
from reference_backends.sqlite.execute import execute, primary_code

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS mcp_sessions (
        sessionId TEXT PRIMARY KEY, identity TEXT NOT NULL, data TEXT NOT NULL, expiresAt INTEGER
    );
    CREATE INDEX IF NOT EXISTS idx_mcp_sessions_identity ON mcp_sessions (identity);
    CREATE INDEX IF NOT EXISTS idx_mcp_sessions_expires_at ON mcp_sessions (expiresAt);
"""

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,  # many connections create the log at the same time
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
    }
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FORBIDDEN = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})


def open_database(path: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode to the checked and private database at ``path``, with its table.

    Raise :class:`StorageSetupError`, without a change to the file, or :class:`StorageUnavailableError`.
    """
    with typed_errors(path):
        require_regular(path)
        logged = size(side_file(path, "-wal")) > 0
        if logged:  # closing a writable connection would move the log into a damaged database
            with contextlib.closing(_connect(path, "ro")) as reader:
                inspect(reader, path)
        connection = _connect(path, "rwc")
        try:
            if not logged:
                inspect(connection, path)
            files = [side_file(path, suffix) for suffix in ("", *SIDE_FILES)]
            for file in files:  # a new file is still empty here
                tighten(file)
            _prepare(connection)
            warn_if_exposed(*files)
        except BaseException:
            connection.close()
            raise
    return connection


def reopen_database(path: Path) -> sqlite3.Connection:
    """Return another connection to a database that ``open_database`` has opened and that is still at ``path``."""
    connection = _connect(path, "rw")
    try:
        _settle(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def typed_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the operating system into :class:`StorageError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _storage_error(error, path) from error
    except UnicodeDecodeError:  # from a message about a damaged schema; the error holds that message
        raise _damaged(path) from None
    except OSError as error:
        raise storage_error(error, path) from error


def _storage_error(error: sqlite3.Error, path: Path) -> StorageError:
    code = primary_code(error)
    if code in _DAMAGED or _is_undecodable(error):
        return _damaged(path)
    if code in _PASSING:
        return StorageUnavailableError(
            f"{path}: {error} ({error.sqlite_errorname}); free some space on that disk, or make the path reachable, "
            "then retry"
        )
    if code in _FORBIDDEN:
        return StorageSetupError(
            f"{path}: {error}; give the store a database that this user may read and write, in a folder where this "
            "user may create files"
        )
    return StorageSetupError(
        f"{path}: {error}; drop the constraint, index or trigger of the table mcp_sessions that asks for this, or give "
        "the store another path"
    )


def _damaged(path: Path) -> StorageSetupError:
    return StorageSetupError(f"{path} is damaged or not a SQLite database; restore it, or move it away")


def _is_undecodable(error: sqlite3.Error) -> bool:
    """Return whether a column held text that is not UTF-8: the only ``OperationalError`` without an SQLite code."""
    return isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # The fork hook closes connections on another thread.
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )


def _prepare(connection: sqlite3.Connection) -> None:
    """Create the table and turn on WAL. A file system without shared memory keeps the rollback journal."""
    execute(connection, "PRAGMA journal_mode = WAL")
    _settle(connection)
    execute(connection, "BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    execute(connection, "COMMIT")


def _settle(connection: sqlite3.Connection) -> None:
    """Apply the settings of a connection, which the file does not keep.

    With the rollback journal, ``synchronous = EXTRA`` also syncs the folder at each commit; with WAL it equals FULL.
    """
    for setting in ("synchronous = EXTRA", "secure_delete = ON", "temp_store = MEMORY", "trusted_schema = OFF"):
        execute(connection, f"PRAGMA {setting}")
