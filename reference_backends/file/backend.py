"""Sessions in one JSON file, shared by handles and processes."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from reference_backends.core.base import BackendOptions
from reference_backends.core.errors import ConfigurationError
from reference_backends.embedded.backend import EmbeddedStorage
from reference_backends.embedded.filesystem import StrPath, resolved
from reference_backends.file.lock import SUPPORTED
from reference_backends.file.session_file import SessionFile


class FileStorageBackend(EmbeddedStorage):
    """A :class:`StorageBackend` in the JSON file at ``path``, in the layout of ``@mcp-ts/sdk``.

    ``path`` is text or a path. ``~`` is not expanded, and links are followed. The other arguments are those of
    :class:`BaseBackend`.

    Each write replaces the file atomically and durably; concurrent writes share one replacement. The store suits some
    thousands of sessions. With an advisory lock on ``<path>.lock``, handles and processes do not lose each other's
    writes. A program that does not take the lock, such as ``@mcp-ts/sdk``, must not write at the same time. Two
    identities may use the same session id for different sessions (ID-4). A hard link to the file keeps the old
    content. POSIX only: elsewhere it raises :class:`ConfigurationError`.

    ``init`` makes missing folders, accepts an empty file as a new store, sets the file and the lock file to mode 0600,
    gives rows without an expiry the default TTL, and writes the file once to find out whether writes work. It raises
    :class:`StorageSetupError`, and does not change the file, if the file is not an array of sessions or is itself a
    mount point. It logs a warning if the file system does not keep the mode.
    """

    label = "file"

    def __init__(self, path: StrPath, **options: Unpack[BackendOptions]) -> None:
        if not SUPPORTED:
            raise ConfigurationError("the file store needs POSIX file locks, which this system lacks; use SQLite")
        super().__init__(partial(SessionFile, resolved(path)), **options)
