"""How the examples of a test are drawn, and shared among the values that it takes in turn."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import strategies as st

from pytest_mcp_storage.engine.clause_tests import ClauseTest, clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.engine.violation import Violation, assert_raises
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
from reference_backends import StorageError


def measured(body: object) -> Measurement:
    """One test, on memory, at smoke."""
    test: ClauseTest = body.__clause_test__  # type: ignore[attr-defined]
    clause = next(each for each in load_clauses() if each.id == test.clause)
    loop = SuiteLoop()
    environment = Environment("memory", MemoryHarness, loop)
    environment.start()
    try:
        return measure(test, clause, environment, TIERS["smoke"], 0, destructive=True)
    finally:
        environment.stop()
        loop.close()


@pytest.mark.parametrize("at_most", [1, 4, None])
def test_every_value_gets_its_share_of_the_examples(at_most: int | None) -> None:
    seen: Counter[tuple[bool, str]] = Counter()

    @clause_test(
        "RT-1", at_most=at_most, number=st.integers(), sealed=every(False, True), field=every("tokens", "headers")
    )
    async def body(context: TestContext, number: int, sealed: bool, field: str) -> None:
        seen[sealed, field] += 1

    result = measured(body)
    share = 1 if at_most else TIERS["smoke"].examples // 4
    assert seen == {(sealed, field): share for sealed in (False, True) for field in ("tokens", "headers")}
    assert (result.outcome, result.examples) == (Outcome.PASSED, 4 * share)


def test_what_fails_with_the_last_value_alone_is_found() -> None:
    @clause_test("RT-1", at_most=1, number=st.integers(), padding=every(0, 100, 20_000))
    async def body(context: TestContext, number: int, padding: int) -> None:
        if padding > 100:
            raise Violation("it was cut", should="be whole")

    assert measured(body).outcome is Outcome.FAILED


@pytest.mark.parametrize(("error", "reported"), [(KeyError("nope"), True), (StorageError("no such table"), False)])
@pytest.mark.parametrize("wanted", [None, ValueError])
def test_where_the_store_broke_is_noted(error: Exception, reported: bool, wanted: type[Exception] | None) -> None:
    async def breaks(*names: str) -> None:
        raise error

    @clause_test("RT-1")
    async def body(context: TestContext) -> None:
        store: Any = await context.store()
        store.backend.get_session = breaks
        call = store.get_session("i", "s")
        await (assert_raises(wanted, call, doing="it") if wanted else call)

    result = measured(body)
    assert result.outcome is Outcome.FAILED
    places = [note for note in result.notes if note.startswith("raised at ")]
    assert len(places) == reported
    assert all(place.endswith(" in breaks") for place in places)
