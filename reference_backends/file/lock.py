"""An advisory lock between the handles on one file, in this process and in others."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from reference_backends.core.errors import StorageUnavailableError
from reference_backends.embedded.filesystem import create_private
from reference_backends.embedded.polling import attempts

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
"""Whether this system has the locks."""


class FileLock:
    """``with lock:`` holds ``flock`` on the file at ``path``, which is created if it is missing and never removed.

    It raises :class:`StorageUnavailableError` if another handle holds the lock for more than ``timeout`` seconds. The
    kernel releases the lock when the process ends in any way, except for one case: a child that was forked during a
    write keeps the lock of a parent that is killed in that write, until the child ends. POSIX only.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._descriptor: int | None = None

    def __enter__(self) -> None:
        for _ in attempts(self._timeout):
            if self._descriptor is None:
                self._descriptor = create_private(self._path, os.O_NOFOLLOW)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if self._is_in_place(self._descriptor):
                return
            self.close()  # the lock file was removed: lock the new one instead
        raise StorageUnavailableError(f"{self._path} is locked by another process; end that process, or retry")

    def __exit__(self, *exc: object) -> None:
        if self._descriptor is not None:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            except OSError:  # closing the file unlocks it, too
                self.close()

    def close(self) -> None:
        """Release the lock and its file. The lock can be taken again."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(current, os.fstat(descriptor))
