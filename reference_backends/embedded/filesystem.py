"""Paths and private files (DU-5), and file system errors as errors of the library."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from pathlib import Path

from reference_backends.core.errors import ConfigurationError, StorageError, StorageSetupError, StorageUnavailableError

logger = logging.getLogger("reference_backends")

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
        errno.EXDEV,
    }
)
"""Errors that remain until the path or its permissions change. Others (full disk, I/O) may be temporary."""

_NO_MODES = frozenset({errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})
"""Errors of a file system that keeps no modes, or does not let this user set them."""


def resolved(path: StrPath) -> Path:
    """Return the absolute path. Raise :class:`ConfigurationError` for a value that is not a path."""
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigurationError("the path of the store must be text, not empty, without a NUL character")
    return Path(text).absolute()


def real(path: Path) -> Path:
    """Return the path with symbolic links resolved, so that all names of one file mean one store."""
    return Path(os.path.realpath(path))


def storage_error(error: OSError, path: Path) -> StorageError:
    """Return the library's error for a failed file operation: a setup error, or one that may be temporary."""
    problem = f"{error.filename2 or error.filename or path}: {error.strerror or type(error).__name__}"
    if error.errno == errno.EBUSY:
        return mounted_by_itself(path)
    if error.errno in _SETUP:
        return StorageSetupError(
            f"{problem}; give the store a path that this user may read and write, in a folder where this user may "
            "create, rename and remove files"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageUnavailableError(f"{problem}; free some space on that disk, then retry")
    return StorageUnavailableError(f"{problem}; make the path reachable again, then retry")


def refuse_mount_point(path: Path) -> None:
    """Raise :class:`StorageSetupError` if the file itself is a mount point, as with ``docker -v ./file:/app/file``.

    The store needs files next to it (a lock, a log, a temporary file). Those would stay inside the container.
    """
    own = _mount_id(path)
    if own is not None and own != _mount_id(path.parent):
        raise mounted_by_itself(path)


def mounted_by_itself(path: Path) -> StorageSetupError:
    """Return the error for a file that is a mount point."""
    return StorageSetupError(
        f"{path} is a mount point, so it can't be replaced and the files next to it are not shared; "
        f"mount its folder instead, as in -v ./data:{path.parent}"
    )


def _mount_id(path: Path) -> str | None:
    """Return the kernel's id of the mount that holds the file; ``None`` if the file or the id is missing.

    ``O_PATH`` does not open the file itself, so closing the descriptor does not release the POSIX locks of SQLite.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (AttributeError, OSError):
        return None
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return next((line for line in lines if line.startswith("mnt_id:")), None)


def make_folder(path: Path) -> None:
    """Make the folder and its parents, as ``mkdir -p`` does. A new folder is private."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def create_private(path: Path, flags: int) -> int:
    """Open or create the file for reading and writing. Return its descriptor. Set mode 0600 if possible."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, PRIVATE)
    try:
        _tighten(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def tighten(path: Path) -> None:
    """Set the mode of a file to 0600 if possible. Ignore a missing file."""
    with contextlib.suppress(FileNotFoundError):
        _tighten(path)


def warn_if_exposed(*paths: Path) -> None:
    """Log one warning if other users can read the files in spite of mode 0600.

    This is not an error: the file system decides (SMB, exFAT, drvfs, a volume of another user), raising would not make
    a file private, and with an encryption key the secrets are ciphertext. On Windows the mode says nothing about other
    users.
    """
    if os.name != "posix":
        return
    exposed = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                exposed.append(f"{path} (mode {mode:04o})")
    if exposed:
        logger.warning(
            "[mcp-storage] other users of this machine may read or change the sessions in %s: the file system did not "
            "keep mode 0600; mount it with umask=077 or uid and mode options, or use another folder, and set an "
            "encryption key",
            ", ".join(exposed),
        )


def _tighten(file: int | Path) -> None:
    try:
        if stat.S_IMODE(os.stat(file).st_mode) != PRIVATE:
            os.chmod(file, PRIVATE)
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise
