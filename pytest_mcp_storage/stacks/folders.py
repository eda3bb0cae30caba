"""The folders of a stack's files: a cache that stays, and a folder for each run that is removed after it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import platformdirs

from reference_backends.core.errors import StorageSetupError

with contextlib.suppress(ImportError):  # Windows does not have it, and starts no server
    import fcntl

RUN_PREFIX = "mcp-storage-stack-"
RUN_NAME = re.compile(f"{RUN_PREFIX}[a-z0-9_]{{8}}")  # as mkdtemp makes it
LOCK = ".mcp-storage-lock"
MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the folders in it
NEEDED_SPACE = 2 * 1024**3
"""Bytes that must be free on a file system in memory for a run to use it."""


def cache_folder(*parts: str) -> Path:
    """Return a folder in the user's cache (``MCP_STORAGE_CACHE``, else the platform's), and make it if it is missing.

    Raises :class:`StorageSetupError` if it can't be made or written.
    """
    root = os.environ.get("MCP_STORAGE_CACHE") or platformdirs.user_cache_dir("pytest-mcp-storage")
    folder = Path(root, *parts)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageSetupError(
            f"the cache folder {folder} can't be made or written: set MCP_STORAGE_CACHE to a folder that can"
        )
    return folder


def npm_environment() -> dict[str, str]:
    """Return the environment of npm. If the user's home can't be written, npm's cache is in the cache folder."""
    if os.access(os.path.expanduser("~"), os.W_OK):
        return dict(os.environ)
    return {"npm_config_cache": str(cache_folder("npm-cache")), **os.environ}


def temporary_root(*, in_memory: bool = False) -> Path:
    """Return the parent of run folders: the system's temporary folder, or ``/tmp`` if a socket's path can't contain it.

    A socket's path has at most 103 characters. The run and PostgreSQL need 51 of them. Blanks, commas and quotes
    separate words in the settings of libpq and Redis. ``in_memory`` prefers a file system in memory if one has enough
    space and ``TMPDIR`` is not set.
    """
    if in_memory and "TMPDIR" not in os.environ and _has_space(MEMORY):
        return MEMORY
    root = tempfile.gettempdir()
    return Path(root if re.fullmatch(r"[\w./+-]{1,52}", root, re.ASCII) else "/tmp")  # noqa: S108 - see above


def _has_space(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        system = os.statvfs(folder)
        return os.access(folder, os.W_OK) and system.f_bavail * system.f_frsize >= NEEDED_SPACE
    return False


@contextlib.contextmanager
def run_folder(*, in_memory: bool = False) -> Iterator[Path]:
    """Make an empty private folder for one run, and remove it at the end; ``in_memory`` as in :func:`temporary_root`.

    The run holds a lock in it. If nobody holds the lock of a folder, its run was killed: the next run removes the
    folder.
    """
    root = temporary_root(in_memory=in_memory)
    sweep(root)
    fresh = Path(tempfile.mkdtemp(prefix=f".{RUN_PREFIX}", dir=root))
    with (fresh / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = root / fresh.name.removeprefix(".")
        fresh.chmod(0o711)  # PostgreSQL may run as another user, and its folder is inside
        fresh.rename(folder)  # sweep() finds this name; the lock is held before that
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove the folders of this user's ended runs, and nothing that only has a similar name."""
    for folder in root.glob(f"{RUN_PREFIX}*"):
        with contextlib.suppress(OSError):
            if not RUN_NAME.fullmatch(folder.name) or not _own_folder(folder):
                continue
            with (folder / LOCK).open("rb") as lock:
                if _lockable(lock):
                    shutil.rmtree(folder, ignore_errors=True)


def _own_folder(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _lockable(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
