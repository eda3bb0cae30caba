"""Sessions in one SQLite database, shared by handles and processes."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from reference_backends.embedded import EmbeddedStorage
from reference_backends.errors import ConfigurationError
from reference_backends.filesystem import StrPath, resolved
from reference_backends.handle import HandleOptions
from reference_backends.session_table import SessionTable


class SqliteStorageBackend(EmbeddedStorage):
    """A :class:`StorageBackend` in the table ``mcp_sessions`` of the database at ``path``, laid out as upstream's.

    Keyword arguments as in :class:`Handle`. WAL, synchronous FULL, one thread a handle; the writes that wait at one
    moment share a commit, and an answer means that it is on the disk. A session id is unique in the table: taken by
    one identity, it is refused to another (ID-4).

    ``init`` makes missing folders, makes the database and its side files 0600, gives rows without an expiry the
    default TTL from now on, and raises :class:`StorageSetupError` for a damaged or foreign file, or for a table of
    another version, which it leaves as it is. An empty file is a new database.
    """

    label = "sqlite"

    def __init__(self, path: StrPath, **options: Unpack[HandleOptions]) -> None:
        if path == ":memory:":
            raise ConfigurationError("a SQLite store needs a file; for sessions in memory take MemoryStorageBackend")
        super().__init__(partial(SessionTable, resolved(path)), **options)
