"""Sessions in one JSON file, shared by handles and processes."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from reference_backends.core.base import BackendOptions
from reference_backends.embedded.backend import EmbeddedStorage
from reference_backends.embedded.filesystem import StrPath, resolved
from reference_backends.file.sessions import SessionFile


class FileStorageBackend(EmbeddedStorage):
    """A :class:`StorageBackend` in the JSON file at ``path``, in the layout of ``@mcp-ts/sdk``.

    ``path`` is text or a path, taken as it is: ``~`` is not expanded, and links are followed. Other arguments as in
    :class:`BaseBackend`.

    Each write replaces the file atomically and durably, and the writes that wait at that moment share it; it suits
    some thousands of sessions. An advisory lock on ``<path>.lock`` keeps handles and processes from losing each
    other's writes; a program that does not take it, as upstream's, must not write at the same time. Sessions of the
    same id under two identities are kept apart (ID-4). A hard link to the file keeps what was there when it was made.
    POSIX only.

    ``init`` makes missing folders, takes an empty file for a new store, makes file and lock file 0600, gives rows
    without an expiry the default TTL from now on, and writes the file once, so that what a write needs is known to
    work. It raises :class:`StorageSetupError` for a file that is not an array of sessions, which it leaves as it is,
    and for one that is mounted by itself. It logs a warning if the file system does not keep the mode.
    """

    label = "file"

    def __init__(self, path: StrPath, **options: Unpack[BackendOptions]) -> None:
        super().__init__(partial(SessionFile, resolved(path)), **options)
