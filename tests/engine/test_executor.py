"""The executor: how a test ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.executor import EndedByTimeout, Executor
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.harnesses.memory import MemoryHarness


@pytest.fixture
def context(loop: SuiteLoop) -> Iterator[TestContext]:
    environment = Environment("memory", MemoryHarness, loop)
    environment.start()
    yield TestContext(environment, TIERS["smoke"], 0, destructive=False)
    environment.stop()


def test_a_timeout_in_the_middle_of_a_draw_is_a_timeout(context: TestContext) -> None:
    drawn: list[int] = []

    def interrupted(number: int) -> int:
        drawn.append(number)
        if len(drawn) == 3:  # once, as by a signal: the draw can't be repeated, which Hypothesis calls flaky
            pytest.fail("Timeout (>6.0s) from pytest-timeout.")
        return number

    @clause_test("RT-1", numbers=st.lists(st.integers().map(interrupted), min_size=5))
    async def body(context: TestContext, numbers: list[int]) -> None:
        pass

    test: Any = body
    executor = Executor(test.__clause_test__, context)
    executor.run()
    assert isinstance(executor.failure, EndedByTimeout), executor.failure
    assert "pytest-timeout" in str(executor.failure)
