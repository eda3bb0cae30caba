"""Values that JSON lacks are transferred too."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.bridge.marks import UNDEFINED, read_line, write_line
from pytest_mcp_storage.spec.harness import NotMeasurable

texts = st.text(st.characters(exclude_categories=[]))  # lone surrogates too
keys = st.text(st.characters(codec="utf-8")) | st.sampled_from(["$", "__proto__", "quoted", "integer", "utf16"])
numbers = st.integers() | st.floats() | st.sampled_from([-0.0, 2**53, -(2**53), 10**30])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.sampled_from(["NaN", "-0", "1" * 20]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def equal_values(one: Any, other: Any) -> bool:
    """Return whether they are equal and of one type: NaN is NaN, -0.0 is not 0, and 1 is not True."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal_values(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal_values, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return one.encode("utf-16-be", "surrogatepass") == other.encode("utf-16-be", "surrogatepass")
    return type(one) is type(other) and bool(one == other)


@given(values)
def test_every_value_comes_back(value: Any) -> None:
    line = write_line({"value": value})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    line.decode()
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert equal_values(read_line(line), {"value": value})


def test_the_stand_ins_are_those_of_the_document() -> None:
    value = [UNDEFINED, math.nan, math.inf, -math.inf, -0.0, 2**53 + 1, "\0a\ud800", {"$": 5}, {"$": {"$": 1}}]
    assert json.loads(write_line({"v": value}))["v"] == [
        {"$": "undefined"},
        {"$": "NaN"},
        {"$": "Infinity"},
        {"$": "-Infinity"},
        {"$": "-0"},
        {"$": {"integer": "9007199254740993"}},
        {"$": {"utf16": "00000061d800"}},
        {"$": {"quoted": 5}},
        {"$": {"quoted": {"$": {"quoted": 1}}}},
    ]


def test_an_object_with_a_dollar_among_other_keys_is_plain() -> None:
    assert json.loads(write_line({"v": {"$": "NaN", "other": 1}}))["v"] == {"$": "NaN", "other": 1}


@pytest.mark.parametrize(
    "line",
    [
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'"\xff"',
        b"{",
        b"",
        b'{"$": "nothing"}',
        b'{"$": 5}',
        b'{"$": {"utf16": "xyz"}}',
        b'{"$": {"integer": "1.5"}}',
        b'{"\\u0024": "nothing"}',
        b'{"$": {"integer": "1_0"}}',
        b'{"$": {"integer": " 1 "}}',
        b'{"$": {"utf16": "00 61"}}',
        b'{"$": {"utf16": "006"}}',
        b'{"$": {"quoted": 1, "more": 2}}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_strict_line_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of its kinds
        read_line(line)


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", {"a": {1: 2}, "b": -0.0}, {"\ud800": -0.0}, 1j])
def test_what_is_no_json_value_is_not_measured(value: Any) -> None:
    with pytest.raises(NotMeasurable, match="a bridge accepts only"):
        write_line({"v": value})


def test_endless_nesting_is_not_measured() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(NotMeasurable, match="nested too deeply"):
        write_line({"v": value})


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -0.0,
        0,
        2**53 - 1,
        1.5e308,
        [],
        {},
        {"__proto__": {"$": {"$": "undefined"}}, "constructor": None},
        {"$": [1, {"$": "-0"}]},
        {"a": "\ud800 \udfff \U0001f600 \0 \u2028", "b": ["é", "e\u0301"]},
        {"$": {"integer": "5"}, "x": 1},
    ],
    ids=repr,
)
async def test_node_keeps_every_value(full: StdioHarness, session: Any, value: Any) -> None:
    async with full as harness:
        backend = await harness.open()
        await backend.create_session(session(tokens={"plain": True}))
        await harness.replace_stored_field("u1", "s1", "tokens", {"value": value})
        stored = await harness.stored_fields("u1", "s1")
    assert equal_values(stored["tokens"]["value"], float(value) if value == 1.5e308 else value)


async def test_node_rounds_integers_that_javascript_rounds(full: StdioHarness, session: Any) -> None:
    async with full as harness:
        backend = await harness.open()
        await backend.create_session(session())
        await backend.update_session("u1", "s1", {}, 2**53 + 1)
        seen = await backend.get_session("u1", "s1")
    assert seen is not None
    assert seen.server_name == "number 9007199254740992"


@pytest.mark.parametrize(
    ("ttl", "reported"),
    [
        (math.nan, "number NaN"),
        (-math.inf, "number -Infinity"),
        (True, "boolean true"),
        ("1 h", "string 1 h"),
        (-0.0, "number -0"),
    ],
)
async def test_any_ttl_reaches_the_backend(full: StdioHarness, session: Any, ttl: Any, reported: str) -> None:
    async with full as harness:
        backend = await harness.open()
        await backend.create_session(session())
        await backend.update_session("u1", "s1", {}, ttl)
        seen = await backend.get_session("u1", "s1")
    assert seen is not None
    assert seen.server_name == reported
