"""The lock beside the file."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

from reference_backends.lock import FileLock


def test_a_child_does_not_keep_the_lock_of_a_parent_that_was_killed(tmp_path: Path) -> None:
    """``flock`` belongs to the open file, which a fork hands on."""
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
    with lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with FileLock(tmp_path / "lock", 0.1):
                    code = 2
            except Exception as error:
                code = 0 if "locked by another process" in str(error) else 3
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
