"""The content of a file: read with the state that it was in, replaced as a whole or not at all (DU-3)."""

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
"""How a file system says that its folders can't be synced, now or ever; git and SQLite ignore these too."""


class Version(NamedTuple):
    """One state of a file, different from any other that a reader could have seen."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class HeldFile:
    """A file that is kept open so that its inode is not given to a file that replaces it.

    Without that, a file replaced twice within one tick of the clock can look unchanged.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.version = _version(os.fstat(descriptor))

    def __del__(self) -> None:
        with contextlib.suppress(OSError):  # nobody could do anything about it
            os.close(self._descriptor)


def version_of(path: Path) -> Version:
    """Return the state of the file now. Raise ``OSError``."""
    return _version(os.stat(path))


def read(path: Path) -> tuple[bytes, HeldFile]:
    """Return the content of a regular file, and that file. Raise ``OSError``, :class:`StorageSetupError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    held = HeldFile(descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise StorageSetupError(f"{path} is not a regular file; give the store another path")
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(), held


def replace(path: Path, content: bytes) -> HeldFile | None:
    """Replace the file durably: every reader, at any moment, finds the old content or the new one, whole.

    Raise ``OSError`` only if the old content is still in place. Return the new file, ``None`` if its state is unknown.
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
    """Remove the temporary files of writers of this file that were killed. Call it under the file's lock."""
    leftover = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{16}\.tmp")
    for entry in path.parent.iterdir():
        if leftover.fullmatch(entry.name):
            entry.unlink(missing_ok=True)


@contextlib.contextmanager
def _folder_to_sync(path: Path) -> Iterator[None]:
    """Make what was renamed into the folder durable. The rename is done by then, so a failure is only logged."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # a folder that may be written to and not be read
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
                    "may undo it: check the disk",
                    path,
                    error.strerror,
                )
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _keep_owner(descriptor: int, path: Path) -> None:
    """Give the new file the owner of the one that it replaces: root must not lock out the application's user."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            there = path.stat()
            os.fchown(descriptor, there.st_uid, there.st_gid)


def _version(status: os.stat_result) -> Version:
    return Version(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
