"""On a store that others use the suite writes under its own names only, and removes all that it wrote."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest

from pytest_mcp_storage import Outcome
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from tests.suite.conftest import Judge

NAMES = """
from types import SimpleNamespace
from pytest_mcp_storage.engine.context import TestContext
environment = SimpleNamespace(meter=None, harness=SimpleNamespace(dedicated=%s))
context = TestContext(environment, None, 0, destructive=True)
print(context.identity("a"), context.session_id("b"))
"""


class SharedHarness(SqliteHarness):
    """Counts the rows that were left."""

    dedicated = False
    left: ClassVar[list[str]] = []

    async def __aexit__(self, *exc: object) -> None:
        store = await self.open()
        type(self).left = await store.get_all_session_ids()
        await store.disconnect()
        await super().__aexit__(*exc)


@pytest.mark.parametrize("clause", ["EN-3", "DU-2", "CO-5", "LC-1"])
def test_nothing_is_left_also_where_other_processes_wrote_it(judge: Judge, clause: str) -> None:
    seen = judge(SharedHarness, clause, tier="smoke", destructive=False)
    assert {each.outcome for each in seen} == {Outcome.PASSED}
    assert SharedHarness.left == []


@pytest.mark.parametrize(("dedicated", "different"), [(False, 2), (True, 1)])
def test_two_runs_at_once_do_not_meet(dedicated: bool, different: int) -> None:
    names = {subprocess.check_output([sys.executable, "-c", NAMES % dedicated], text=True) for _ in range(2)}
    assert len(names) == different
