"""Opening a SQLite file: private, in WAL, and only where it is sound.

A check of every page costs time in proportion to the file, so files of more than ``WHOLE_CHECK`` bytes are checked
along the edges of their trees only: the schema, each root, and the way from it to the first and to the last row.
Damage in between shows when a call meets it, as the same :class:`StorageSetupError`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from reference_backends.errors import StorageError, StorageSetupError, StorageUnavailableError
from reference_backends.filesystem import storage_error, tighten
from reference_backends.patience import PATIENCE, attempts

WHOLE_CHECK = 64 * 2**20
"""Bytes up to which every page is checked."""

LOGS = ("-wal", "-journal")
SIDE_FILES = (*LOGS, "-shm")

COLUMNS = ("sessionId", "identity", "data", "expiresAt")

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


def open_database(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode to the sound and private database at ``path``, with its table.

    Raises :class:`StorageSetupError`, and then leaves the file as it is, and :class:`StorageUnavailableError`.
    """
    with typed_errors(path):
        _require_regular(path)
        logged = _size(_beside(path, "-wal")) > 0
        if logged:  # a writable connection would move the log into a damaged database when it is closed
            with contextlib.closing(_connect(path, "ro")) as reader:
                _inspect(reader, path)
        connection = _connect(path, "rwc")
        try:
            if not logged:
                _inspect(connection, path)
            for suffix in ("", *SIDE_FILES):  # a new file is empty until here
                tighten(_beside(path, suffix))
            _prepare(connection, path)
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


def execute(
    connection: sqlite3.Connection, sql: str, values: Sequence[object] = (), *, patience: float = PATIENCE
) -> list[tuple[object, ...]]:
    """All rows of a statement, asked for anew while another connection holds a lock that it needs."""
    for _ in attempts(patience):
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if _primary(error) != sqlite3.SQLITE_BUSY:
                raise
    raise StorageUnavailableError("the database is locked by another process; end that process, or try again")


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
    code = _primary(error)
    if code in _DAMAGED or _is_undecodable(error):
        return _damaged(path)
    if code in _PASSING:
        return StorageUnavailableError(f"{path}: {error}; the store cannot be used until that is mended")
    return StorageSetupError(f"{path}: {error}; give the store a database that this user may read and write")


def _damaged(path: Path) -> StorageSetupError:
    return StorageSetupError(f"{path} is damaged or not a SQLite database; restore it, or move it away")


def _is_undecodable(error: sqlite3.Error) -> bool:
    """Whether a column held text that is not UTF-8: the one operational error that is Python's own."""
    return isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")


def _primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code; an error of Python's own module has none."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # A fork closes connections on a thread that is not theirs.
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )


def _require_regular(path: Path) -> None:
    """Looks without opening: a descriptor of the database, when closed, drops the locks of this process on it.

    SQLite keeps a log by each name of a file, and two logs destroy a database.
    """
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise StorageSetupError(f"{path} is not a regular file; give the store another path")
        if status.st_nlink > 1:
            raise StorageSetupError(f"{path} has another name, a hard link; remove that, or give the store a copy")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _inspect(connection: sqlite3.Connection, path: Path) -> None:
    """Raises :class:`StorageSetupError`, or what SQLite raises, for a database that can't be used. Writes nothing."""
    columns = execute(connection, "SELECT name, pk, \"notnull\", dflt_value FROM pragma_table_info('mcp_sessions')")
    [(pages,)], [(page_size,)] = execute(connection, "PRAGMA page_count"), execute(connection, "PRAGMA page_size")
    assert isinstance(pages, int)
    assert isinstance(page_size, int)
    # SQLite reads what a file cut off within its last page lacks as zeros, and takes one of a byte for a new one.
    cut_off = _size(path) % page_size and not any(_size(_beside(path, suffix)) for suffix in LOGS)
    whole = pages * page_size <= WHOLE_CHECK
    if cut_off or (whole and execute(connection, "PRAGMA quick_check(1)") != [("ok",)]):
        raise StorageSetupError(f"{path} is damaged; restore it, or move it away")
    if execute(connection, "PRAGMA encoding") != [("UTF-8",)]:
        raise StorageSetupError(f"{path} keeps its text in UTF-16, the store's is UTF-8; give the store another path")
    if columns and not whole:
        for look in _looks_at_edges(connection):
            execute(connection, look)
    if columns and not _fits(columns):
        raise StorageSetupError(
            f"the table mcp_sessions of {path} is of another version: it needs the columns {', '.join(COLUMNS)} with "
            "sessionId as its primary key, and no other that must be filled; rename it, or give the store another path"
        )


def _looks_at_edges(connection: sqlite3.Connection) -> list[str]:
    """Queries for the first and the last entry of the table and of each index that orders it by a column of ours."""
    indexed = execute(
        connection,
        """
        SELECT info.name FROM pragma_index_list('mcp_sessions') AS list, pragma_index_info(list.name) AS info
        WHERE NOT list.partial AND info.seqno = 0 AND info.name IN ('sessionId', 'identity', 'expiresAt')
        """,
    )
    keys = ["rowid", *(name for (name,) in indexed)]
    return [
        f"SELECT {key} FROM mcp_sessions ORDER BY {key} {order} LIMIT 1"  # noqa: S608
        for key in keys
        for order in ("ASC", "DESC")
    ]


def _fits(columns: list[tuple[object, ...]]) -> bool:
    keys = [name for name, place, _, _ in columns if place]
    foreign = [column for column in columns if column[0] not in COLUMNS]
    return (
        {name for name, *_ in columns} >= set(COLUMNS)
        and keys == ["sessionId"]
        and all(default is not None or not required for _, _, required, default in foreign)
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """WAL, a commit that is on the disk when it returns, no remnants of deleted content, and the table."""
    if execute(connection, "PRAGMA journal_mode = WAL") != [("wal",)]:
        raise StorageSetupError(f"{path} lies on a file system without shared memory, which SQLite's WAL needs")
    _settle(connection)
    execute(connection, "BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    execute(connection, "COMMIT")


def _settle(connection: sqlite3.Connection) -> None:
    """What holds for one connection, and not for the file."""
    for setting in ("synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY", "trusted_schema = OFF"):
        execute(connection, f"PRAGMA {setting}")
