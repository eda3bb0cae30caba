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
    """A :class:`StorageBackend` in the table ``mcp_sessions`` of the database at ``path``, laid out as upstream's.

    ``path`` is text or a path, taken as it is: ``~`` is not expanded, and links are followed. Other arguments as in
    :class:`BaseBackend`.

    It commits in WAL and syncs each commit, on one thread for each handle. The writes that wait at one moment share a
    commit. A session id is unique in the table: taken by one identity, it is refused to another (ID-4).

    ``init`` makes missing folders, makes the database and its side files 0600, gives rows without an expiry the
    default TTL from now on, and commits once. An empty file is a new database. Other applications may keep their
    tables in the same file; only the table ``mcp_sessions`` is checked. ``init`` raises :class:`StorageSetupError` for
    a damaged or foreign file, for one that has a second name (a hard link), is mounted by itself or has its text in
    UTF-16, and for a table of another version; it leaves all of them as they are. It logs a warning if the file
    system does not keep the mode.
    """

    label = "sqlite"

    def __init__(self, path: StrPath, **options: Unpack[BackendOptions]) -> None:
        if path == ":memory:":
            raise ConfigurationError("a SQLite store needs a file; for sessions in memory take MemoryStorageBackend")
        super().__init__(partial(SessionTable, resolved(path)), **options)
