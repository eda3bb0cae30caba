"""Opening a SQLite file: private, durable, and only if the store's part of it is sound."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from reference_backends.core.errors import StorageError, StorageSetupError, StorageUnavailableError
from reference_backends.embedded.filesystem import storage_error, tighten, warn_if_exposed
from reference_backends.sqlite.check import SIDE_FILES, beside, inspect, require_regular
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
        sqlite3.SQLITE_PROTOCOL,  # many connections that begin a log at once
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
    }
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FORBIDDEN = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})


def open_database(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode to the sound and private database at ``path``, with its table.

    Raises :class:`StorageSetupError`, and then leaves the file as it is, and :class:`StorageUnavailableError`.
    """
    with typed_errors(path):
        require_regular(path)
        log = beside(path, "-wal")
        logged = log.exists() and log.stat().st_size > 0
        if logged:  # a writable connection would move the log into a damaged database when it is closed
            with contextlib.closing(_connect(path, "ro")) as reader:
                inspect(reader, path)
        connection = _connect(path, "rwc")
        try:
            if not logged:
                inspect(connection, path)
            files = [beside(path, suffix) for suffix in ("", *SIDE_FILES)]
            for file in files:  # a new file is empty until here
                tighten(file)
            _prepare(connection)
            warn_if_exposed(*files)
        except BaseException:
            connection.close()
            raise
    return connection


def reopen_database(path: Path) -> sqlite3.Connection:
    """One more connection to a database that ``open_database`` has opened, and that is still in its place."""
    connection = _connect(path, "rw")
    try:
        _settle(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def typed_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite and the operating system raise into :class:`StorageError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _storage_error(error, path) from error
    except UnicodeDecodeError:  # of a message about a damaged schema, which it carries along
        raise _damaged(path) from None
    except OSError as error:
        raise storage_error(error, path) from error


def _storage_error(error: sqlite3.Error, path: Path) -> StorageError:
    code = primary_code(error)
    if code in _DAMAGED or _is_undecodable(error):
        return _damaged(path)
    if code in _PASSING:
        return StorageUnavailableError(
            f"{path}: {error} ({error.sqlite_errorname}); free some space there, or make the path reachable, then retry"
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
    """Whether a column held text that is not UTF-8: the one operational error that is Python's own."""
    return isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # A fork closes connections on a thread that is not theirs.
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table, and choose WAL. A file system without shared memory has no WAL: the old journal serves too."""
    execute(connection, "PRAGMA journal_mode = WAL")
    _settle(connection)
    execute(connection, "BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    execute(connection, "COMMIT")


def _settle(connection: sqlite3.Connection) -> None:
    """Set what holds for one connection, and not for the file.

    With the old journal, ``synchronous = EXTRA`` also syncs the folder at each commit; in WAL it is the same as FULL.
    """
    for setting in ("synchronous = EXTRA", "secure_delete = ON", "temp_store = MEMORY", "trusted_schema = OFF"):
        execute(connection, f"PRAGMA {setting}")
