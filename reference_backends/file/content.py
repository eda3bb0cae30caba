"""Read a file together with its version, and replace it as a whole or not at all (DU-3)."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reference_backends.core.errors import StorageSetupError
from reference_backends.embedded.filesystem import create_private

logger = logging.getLogger("reference_backends")

_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF})
"""Errors of a file system that cannot sync folders. git and SQLite ignore them, too."""


class Version(NamedTuple):
    """One state of a file. No other state that a reader could see is equal."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class HeldFile:
    """A file that is kept open, so that its inode is not reused for the file that replaces it.

    Without that, a file that is replaced twice within one tick of the clock can look unchanged.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.version = _version(os.fstat(descriptor))

    def __del__(self) -> None:
        with contextlib.suppress(OSError):  # no caller could handle it
            os.close(self._descriptor)


def version_of(path: Path) -> Version:
    """Return the version of the file. Raise ``OSError``."""
    return _version(os.stat(path))


def read(path: Path) -> tuple[bytes, HeldFile]:
    """Return the content of a regular file, and the file held open. Raise ``OSError``, :class:`StorageSetupError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    held = HeldFile(descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise StorageSetupError(f"{path} is not a regular file; give the store another path")
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(), held


def replace(path: Path, content: bytes) -> HeldFile | None:
    """Replace the file durably. A reader always finds either the old content or the new one, complete.

    Raise ``OSError`` only if the old content is still there. Return the new file, ``None`` if its version is unknown.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with _folder_to_sync(path.parent):
        descriptor = create_private(temporary, os.O_EXCL)
        try:
            _keep_owner(descriptor, path)
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
    with contextlib.suppress(OSError):
        return HeldFile(descriptor)
    return None


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of killed writers of this file. Call it with the file's lock held."""
    leftover = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{16}\.tmp")
    for entry in path.parent.iterdir():
        if leftover.fullmatch(entry.name):
            entry.unlink(missing_ok=True)


@contextlib.contextmanager
def _folder_to_sync(path: Path) -> Iterator[None]:
    """Sync the folder after the body has renamed a file into it. The rename is done then, so only log a failure."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # the folder is writable but not readable
        yield
        return
    try:
        yield
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                logger.warning(
                    "[mcp-storage] %s: the folder could not be synced (%s); the write is done, but a power failure "
                    "may undo it; check the disk",
                    path,
                    error.strerror,
                )
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _keep_owner(descriptor: int, path: Path) -> None:
    """Give the new file the owner of the file that it replaces: root must not lock out the application's user."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            old = path.stat()
            os.fchown(descriptor, old.st_uid, old.st_gid)


def _version(status: os.stat_result) -> Version:
    return Version(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
