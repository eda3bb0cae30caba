"""The suite's loop, closed when the test ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_mcp_storage.engine.loop import SuiteLoop


@pytest.fixture
def loop() -> Iterator[SuiteLoop]:
    made = SuiteLoop()
    yield made
    made.close()
