"""How the outcome of a call is read."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_mcp_storage import NotMeasurable
from pytest_mcp_storage.engine.violation import Violation, assert_raises, outcome_of
from pytest_mcp_storage.spec.describe import describe


async def giving(value: Any) -> Any:
    if isinstance(value, BaseException):
        raise value
    return value


async def test_an_outcome_is_a_value_or_an_error() -> None:
    error = LookupError("gone")
    assert await outcome_of(giving(7)) == 7
    assert await outcome_of(giving(error)) is error


async def test_a_harness_that_cannot_look_says_nothing_of_the_store() -> None:
    with pytest.raises(NotMeasurable, match="no server"):
        await outcome_of(giving(NotMeasurable("no server")))
    with pytest.raises(NotMeasurable, match="no server"):
        await assert_raises(ValueError, giving(NotMeasurable("no server")), doing="opening")


@pytest.mark.parametrize(
    ("given", "seen"), [(None, "opening returned None"), (KeyError("k"), "opening raised KeyError: 'k'")]
)
async def test_what_should_have_been_raised_is_reported(given: Any, seen: str) -> None:
    with pytest.raises(Violation) as caught:
        await assert_raises(ValueError, giving(given), doing="opening")
    assert (caught.value.seen, caught.value.should) == (seen, "raise ValueError")
    refusal = ValueError("bad")
    assert await assert_raises(ValueError, giving(refusal), doing="opening") is refusal


def test_long_answers_are_cut() -> None:
    assert describe("x" * 1000).endswith("(1002 characters)")
    assert len(describe("x" * 1000)) < 320
