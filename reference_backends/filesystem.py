"""Files that only their owner can read (DU-5), replaced as a whole or not at all (DU-3)."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from reference_backends.errors import ConfigurationError, StorageError, StorageSetupError, StorageUnavailableError

PRIVATE = 0o600

StrPath = str | os.PathLike[str]

_SETUP = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EEXIST,
        errno.EINVAL,
    }
)
"""Failures that stay until somebody changes the path or its permissions; others (full disk, I/O) may pass."""


class Version(NamedTuple):
    """What tells one state of a file from another."""

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
        os.close(self._descriptor)


def resolved(path: StrPath) -> Path:
    """The absolute path. Raises :class:`ConfigurationError` for what cannot be one."""
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigurationError("the path of the store must be text, neither empty nor with a NUL character")
    return Path(text).absolute()


def real(path: Path) -> Path:
    """The path with its symbolic links followed, so that all names of one file are one store."""
    return Path(os.path.realpath(path))


def storage_error(error: OSError, path: Path) -> StorageError:
    """The typed error of a failed file operation: one to repair, or one that may pass."""
    problem = f"{path}: {error.strerror or type(error).__name__}"
    if error.errno in _SETUP:
        return StorageSetupError(f"{problem}; give the store a path that this user may read and write")
    return StorageUnavailableError(f"{problem}; the store cannot be used until that is mended")


def make_folder(path: Path) -> None:
    """The folder and those above it, as ``mkdir -p`` does, private where it is new."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def create_private(path: Path, flags: int) -> int:
    """A descriptor, readable and writable, of the file, made where it is missing; 0600 either way."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, PRIVATE)
    try:
        _tighten(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def tighten(path: Path) -> None:
    """Make a file 0600; harmless where there is none."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_IMODE(path.stat().st_mode) != PRIVATE:
            path.chmod(PRIVATE)


def version_of(path: Path) -> Version:
    """The state of the file now. Raises ``OSError``."""
    return _version(os.stat(path))


def read(path: Path) -> tuple[bytes, HeldFile]:
    """The content of a regular file, and that file. Raises ``OSError``, :class:`StorageSetupError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    held = HeldFile(descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise StorageSetupError(f"{path} is not a regular file; give the store another path")
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(), held


def replace(path: Path, content: bytes) -> HeldFile:
    """Replace the file durably: whoever reads it, at any moment, finds the old content or the new, whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = create_private(temporary, os.O_EXCL)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    held = HeldFile(descriptor)
    sync_folder(path.parent)
    return held


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of writers of this file that were killed. Call it under the file's lock."""
    leftover = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{16}\.tmp")
    for entry in path.parent.iterdir():
        if leftover.fullmatch(entry.name):
            entry.unlink(missing_ok=True)


def _tighten(descriptor: int) -> None:
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != PRIVATE:
        os.fchmod(descriptor, PRIVATE)


def _version(status: os.stat_result) -> Version:
    return Version(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
