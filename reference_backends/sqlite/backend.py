"""Sessions in one SQLite database, shared by handles and processes."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from reference_backends.core.base import BackendOptions
from reference_backends.core.errors import ConfigurationError
from reference_backends.embedded.backend import EmbeddedStorage
from reference_backends.embedded.filesystem import StrPath, resolved
from reference_backends.sqlite.table import SessionTable


class SqliteStorageBackend(EmbeddedStorage):
    """A :class:`StorageBackend` in the table ``mcp_sessions`` of the database at ``path``.

    The table has the layout of ``@mcp-ts/sdk``. ``path`` is text or a path. ``~`` is not expanded, and links are
    followed. The other arguments are those of :class:`BaseBackend`.

    The database uses WAL, and each commit is synced. Each handle has one thread; concurrent writes share one commit. A
    session id is unique in the table: two identities cannot use the same one (ID-4).

    ``init`` makes missing folders, sets the database and its side files to mode 0600, gives rows without an expiry the
    default TTL, and commits once. An empty file is a new database. Other applications may have tables in the same
    file; only the table ``mcp_sessions`` is checked. ``init`` raises :class:`StorageSetupError`, and changes nothing,
    if the file is damaged or not a SQLite database, has a hard link, is itself a mount point or keeps its text in
    UTF-16, or if the table is of another version. It logs a warning if the file system does not keep the mode.
    """

    label = "sqlite"

    def __init__(self, path: StrPath, **options: Unpack[BackendOptions]) -> None:
        if path == ":memory:":
            raise ConfigurationError("a SQLite store needs a file; for sessions in memory use MemoryStorageBackend")
        super().__init__(partial(SessionTable, resolved(path)), **options)
