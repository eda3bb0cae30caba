"""The lock file next to the store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reference_backends import StorageUnavailableError
from reference_backends.file.lock import FileLock
from tests.reference_backends.forked import forked


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
