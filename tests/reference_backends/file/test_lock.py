"""The lock file next to the store."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from reference_backends import StorageUnavailableError
from reference_backends.file.lock import FileLock
from tests.reference_backends.forked import forked


def test_a_child_does_not_keep_the_lock_of_a_parent_that_was_killed(tmp_path: Path) -> None:
    """``flock`` belongs to the open file, which a child of a fork inherits."""
    path = tmp_path / "lock"
    grandchild, tell = os.pipe()
    holder = os.fork()
    if holder == 0:
        signal.alarm(20)
        with FileLock(path, 1):
            if os.fork() == 0:
                os.write(tell, str(os.getpid()).encode())
                signal.pause()
            signal.pause()
        os._exit(0)
    pid = int(os.read(grandchild, 20))
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with FileLock(path, 1):
        pass
    os.kill(pid, signal.SIGKILL)


def test_a_parent_keeps_its_lock_over_a_fork(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock", 0.1)

    async def take() -> None:
        with (
            pytest.raises(StorageUnavailableError, match="locked by another process"),
            FileLock(tmp_path / "lock", 0.1),
        ):
            pass

    with lock:
        child = forked(take)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
