"""A cancelled call that leaves a lock is that test's finding; later tests get a store without it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

STORE = """
import asyncio

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness
from reference_backends import StorageUnavailableError


class LeavesItsLock(InMemoryBackend):
    locked_by = None

    async def update_session(self, *arguments, **options):
        await self.wait_for_the_lock()
        self.store.locked_by = self
        try:
            await super().update_session(*arguments, **options)
        except Exception:
            self.store.locked_by = None
            raise
        self.store.locked_by = None

    async def create_session(self, *arguments, **options):
        await self.wait_for_the_lock()
        await super().create_session(*arguments, **options)

    async def wait_for_the_lock(self):
        if getattr(self.store, "locked_by", None) is not None:
            raise StorageUnavailableError("the store is locked")


class Harness(InMemoryHarness):
    backend = LeavesItsLock
"""


def test_a_sequence_that_leaves_a_lock_fails_no_later_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(left_locked=STORE)
    result = pytester.runpytest_subprocess(
        "--mcp-backend=left_locked:Harness",
        "--mcp-clause=LC-2,LC-3",
        "--mcp-tier=smoke",
        "--mcp-no-coverage",
        "--hypothesis-seed=1",
        "-v",
        "-p",
        "no:randomly",
    )
    failed = [line.partition("[")[0] for line in result.outlines if " FAILED " in line]
    assert failed == ["test_mcp_sequences.py::test_no_sequence_loses_an_update"]
