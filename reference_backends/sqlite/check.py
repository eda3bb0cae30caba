"""Check that a SQLite file is not damaged, and that the store's table in it has this version.

Other applications may have tables in the same file. Their functions, collations, extensions, constraints and damaged
pages do not matter here: only the schema, the list of free pages and the table ``mcp_sessions`` are checked.

A check of every page takes time in proportion to the file. In a file of more than ``WHOLE_CHECK`` bytes only the edges
of the trees are checked: the schema, each root, and the path from it to the first and to the last row. A call that
finds other damage raises the same :class:`StorageSetupError`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

from reference_backends.core.errors import StorageSetupError
from reference_backends.embedded.filesystem import refuse_mount_point
from reference_backends.sqlite.execute import execute

WHOLE_CHECK = 64 * 2**20
"""Bytes of the largest file in which every page of the table is checked."""

LOGS = ("-wal", "-journal")
SIDE_FILES = (*LOGS, "-shm")

COLUMNS = ("sessionId", "identity", "data", "expiresAt")


def require_regular(path: Path) -> None:
    """Raise :class:`StorageSetupError` if the path is not a regular file with one name.

    Do not open it: closing a descriptor of the database releases the locks that this process holds on it. SQLite keeps
    one log for each name of a file, and two logs destroy a database.
    """
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise StorageSetupError(f"{path} is not a regular file; give the store another path")
        if status.st_nlink > 1:
            raise StorageSetupError(f"{path} has another name, a hard link; remove that, or give the store a copy")
        refuse_mount_point(path)


def side_file(path: Path, suffix: str) -> Path:
    """Return the path of a side file."""
    return path.with_name(path.name + suffix)


def inspect(connection: sqlite3.Connection, path: Path) -> None:
    """Raise :class:`StorageSetupError` or an error of SQLite if the database cannot be used. Write nothing."""
    columns = execute(connection, "SELECT name, pk, \"notnull\", dflt_value FROM pragma_table_info('mcp_sessions')")
    [(pages,)], [(page_size,)] = execute(connection, "PRAGMA page_count"), execute(connection, "PRAGMA page_size")
    assert isinstance(pages, int)
    assert isinstance(page_size, int)
    # If a file is cut off inside its last page, SQLite reads zeros there. It takes a file of one byte as a new one.
    if size(path) % page_size and not any(size(side_file(path, suffix)) for suffix in LOGS):
        raise StorageSetupError(f"{path} is damaged: its end is missing; restore it, or move it away")
    if execute(connection, "PRAGMA encoding") != [("UTF-8",)]:
        raise StorageSetupError(f"{path} keeps its text in UTF-16, the store's is UTF-8; give the store another path")
    if columns and not _fits(columns):
        raise StorageSetupError(
            f"the table mcp_sessions of {path} is of another version: it needs the columns {', '.join(COLUMNS)}, "
            "sessionId as its primary key, and no other required column; rename it, or give the store another path"
        )
    if pages * page_size <= WHOLE_CHECK:
        _check_pages(connection, path, ["sqlite_master", "mcp_sessions"] if columns else ["sqlite_master"])
    elif columns:
        for query in _edge_queries(connection):
            execute(connection, query)


def _check_pages(connection: sqlite3.Connection, path: Path, tables: list[str]) -> None:
    """Check every page of the tables; with ``sqlite_master`` SQLite also checks the list of free pages."""
    execute(connection, "PRAGMA ignore_check_constraints = ON")
    for table in tables:
        found = execute(connection, f"PRAGMA quick_check({table})")
        if found != [("ok",)]:
            raise StorageSetupError(f"{path} is damaged; restore it, or move it away (SQLite: {found[0][0]})")
    execute(connection, "PRAGMA ignore_check_constraints = OFF")


def _edge_queries(connection: sqlite3.Connection) -> list[str]:
    """Return queries for the first and the last entry of the table, and of each index on one of its columns."""
    indexed = execute(
        connection,
        """
        SELECT info.name FROM pragma_index_list('mcp_sessions') AS list, pragma_index_info(list.name) AS info
        WHERE NOT list.partial AND info.seqno = 0 AND info.name IN ('sessionId', 'identity', 'expiresAt')
        """,
    )
    keys = [*(["rowid"] if _has_rowid(connection) else []), *(name for (name,) in indexed)]
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


def _has_rowid(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT rowid FROM mcp_sessions LIMIT 0")
    except sqlite3.OperationalError:
        return False
    return True


def size(path: Path) -> int:
    """Return the number of bytes of a file; 0 if it is missing."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
