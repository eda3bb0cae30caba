"""Where a stack's files lie: a cache that stays, and a folder for each run that never outlives it for long."""

from __future__ import annotations

import contextlib
import fcntl
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

RUN_PREFIX = "mcp-storage-stack-"
RUN_NAME = re.compile(f"{RUN_PREFIX}[a-z0-9_]{{8}}")  # as mkdtemp makes it
LOCK = ".mcp-storage-lock"
MEMORY = Path("/dev/shm")  # noqa: S108 - Linux has it; its folders are made by mkdtemp
ROOM = 2 * 1024**3
"""How much room, in bytes, a file system in memory must have left for a run to lie there."""


def cache_folder(*parts: str) -> Path:
    """A folder in the user's cache (``MCP_STORAGE_CACHE``, else the platform's), made if need be.

    Raises :class:`StorageSetupError` where it can't be made or written.
    """
    root = os.environ.get("MCP_STORAGE_CACHE") or platformdirs.user_cache_dir("pytest-mcp-storage")
    folder = Path(root, *parts)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageSetupError(
            f"the cache folder {folder} can't be made or written: set MCP_STORAGE_CACHE to one that can"
        )
    return folder


def temporary_root(*, in_memory: bool = False) -> Path:
    """Where run folders lie: the system's temporary folder, or ``/tmp`` where its name can't be a socket's.

    A socket's path holds 103 characters, of which 51 are the run's and PostgreSQL's own; and blanks, commas and quotes
    part words in libpq's settings and in Redis's. ``in_memory`` prefers a file system in memory, where there is one
    with room and ``TMPDIR`` does not say otherwise.
    """
    if in_memory and "TMPDIR" not in os.environ and _roomy(MEMORY):
        return MEMORY
    root = tempfile.gettempdir()
    return Path(root if re.fullmatch(r"[\w./+-]{1,52}", root, re.ASCII) else "/tmp")  # noqa: S108 - see above


def _roomy(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        system = os.statvfs(folder)
        return os.access(folder, os.W_OK) and system.f_bavail * system.f_frsize >= ROOM
    return False


@contextlib.contextmanager
def run_folder(*, in_memory: bool = False) -> Iterator[Path]:
    """An empty private folder for one run, removed at its end; ``in_memory`` is as in :func:`temporary_root`.

    The run holds a lock in it. A folder whose lock nobody holds is what a killed run left behind: the next run
    removes it.
    """
    root = temporary_root(in_memory=in_memory)
    sweep(root)
    fresh = Path(tempfile.mkdtemp(prefix=f".{RUN_PREFIX}", dir=root))
    with (fresh / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = root / fresh.name.removeprefix(".")
        fresh.chmod(0o711)  # PostgreSQL, as another user, goes through it to a folder of its own
        fresh.rename(folder)  # under this name a sweep finds it, and by now it is locked
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove the folders of this user's dead runs, and nothing that only has a similar name."""
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
