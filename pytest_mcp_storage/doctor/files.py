"""The file and the SQLite store: path, permissions, size, content. The files are only read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pytest_mcp_storage.doctor import rows
from pytest_mcp_storage.doctor.finding import Finding
from reference_backends.core.errors import StorageError
from reference_backends.core.settings import Settings
from reference_backends.embedded.filesystem import PRIVATE
from reference_backends.sqlite.check import COLUMNS, SIDE_FILES, beside, inspect, require_regular

VARIABLES = {
    "file": ("MCP_TS_STORAGE_FILE", "./sessions.json"),
    "sqlite": ("MCP_TS_STORAGE_SQLITE_PATH", "./sessions.db"),
}
LARGEST_FILE = 10 * 2**20
"""Bytes; each write of the file store writes the whole file."""
LARGEST_LOG = 64 * 2**20
"""Bytes; SQLite's write-ahead log is copied into the database at about 4 MiB unless a reader prevents it."""


def check(store: str, settings: Settings, sealed: bool, clock: Callable[[], float]) -> list[Finding]:
    """Check the store at the path of the environment."""
    variable, default = VARIABLES[store]
    try:
        path = Path(settings.path(variable, default))
    except StorageError as error:
        return [Finding(f"{store}.path", "error", str(error))]
    found = list(_place(store, variable, path))
    if not path.exists():
        return [*found, Finding(f"{store}.content", "ok", f"{path} does not exist yet; the store makes it")]
    found += _permissions(store, path)
    try:
        read = _sqlite_rows if store == "sqlite" else _file_rows
        found += rows.check(store, read(path), sealed, clock())
    except (StorageError, OSError, sqlite3.Error, UnicodeDecodeError) as error:
        message = str(error) if isinstance(error, StorageError) else f"{path} can't be read ({type(error).__name__})"
        return [*found, Finding(f"{store}.content", "error", message, "restore it from a backup, or move it away")]
    return [*found, *_size(store, path), Finding(f"{store}.content", "ok", f"{path} is sound")]


def _place(store: str, variable: str, path: Path) -> Iterator[Finding]:
    if not path.is_absolute():
        message = f"the path {path} is relative, so it depends on the working directory of each process"
        yield Finding(f"{store}.path", "warning", message, f"set {variable} to an absolute path")
    folder = next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        message = f"this user may not create files in {folder}, which both stores need"
        yield Finding(f"{store}.folder", "error", message, f"give this user write permission on {folder}")
        return
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        message = f"every user may replace files in {folder} (mode {stat.S_IMODE(mode):04o})"
        yield Finding(f"{store}.folder", "error", message, f"chmod o-w {folder}")


def _permissions(store: str, path: Path) -> Iterator[Finding]:
    for file in [path, *(beside(path, suffix) for suffix in SIDE_FILES)]:
        with contextlib.suppress(FileNotFoundError):
            status = file.stat()
            if stat.S_IMODE(status.st_mode) & ~PRIVATE:
                message = f"other users may access {file} (mode {stat.S_IMODE(status.st_mode):04o})"
                yield Finding(f"{store}.permissions", "error", message, f"chmod 600 {file}")
            if not os.access(file, os.R_OK | os.W_OK):
                message = f"this user may not read and write {file}"
                yield Finding(f"{store}.owner", "error", message, f"chown it to the user of the application: {file}")


def _size(store: str, path: Path) -> Iterator[Finding]:
    size = path.stat().st_size
    if store == "file" and size > LARGEST_FILE:
        message = f"{path} has {size / 2**20:,.0f} MiB, and each write writes all of it"
        yield Finding("file.size", "warning", message, "use the SQLite store: set MCP_TS_STORAGE_SQLITE_PATH")
    log = beside(path, "-wal")
    if store == "sqlite" and log.exists() and log.stat().st_size > LARGEST_LOG:
        message = f"the write-ahead log has {log.stat().st_size / 2**20:,.0f} MiB: a reader keeps a transaction open"
        yield Finding("sqlite.log", "warning", message, "end the process that holds the transaction open")
    free = shutil.disk_usage(path.parent).free
    if free < 2 * size:
        message = f"the disk of {path} has {free / 2**20:,.0f} MiB left; a rewrite of the store needs more"
        yield Finding(f"{store}.disk", "warning", message, "free disk space")


def _file_rows(path: Path) -> Iterator[tuple[dict[str, Any], float | None]]:
    try:
        stored = json.loads(path.read_bytes() or b"[]")
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, list) or not all(isinstance(row, dict) for row in stored):
        raise StorageError(f"{path} is damaged: it is not a JSON array of sessions")
    for row in stored:
        expires_at = row.get("expiresAt")
        yield row, expires_at / 1000 if isinstance(expires_at, (int, float)) else None


def _sqlite_rows(path: Path) -> Iterator[tuple[dict[str, Any], float | None]]:
    require_regular(path)
    # Without a log nobody has the database open. SQLite would make the side files, of this user, to read it.
    how = "mode=ro" if beside(path, "-wal").exists() else "mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True)) as connection:
        inspect(connection, path)
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'mcp_sessions'").fetchone():
            return
        for data, expires_at in connection.execute(f"SELECT CAST({COLUMNS[2]} AS BLOB), expiresAt FROM mcp_sessions"):  # noqa: S608
            try:
                row = json.loads(data)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise StorageError(f"{path} is damaged: a row of mcp_sessions is not a JSON object")
            yield row, None if expires_at is None else expires_at / 1000
