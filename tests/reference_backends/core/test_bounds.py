"""Which text and JSON a session may hold."""

from __future__ import annotations

import math
from collections import OrderedDict
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import pytest

from reference_backends.core import bounds


class Shout(str):
    def __str__(self) -> str:
        return "something else"


class Number(IntEnum):
    ONE = 1


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("text", ["", "a", "\x01\x1f\x7f", "é", "e\u0301", "\uffff", "👩‍👩‍👧", "\U0010ffff", "\u2028"])
def test_text_passes_unchanged(text: str) -> None:
    assert bounds.plain_text(text) == text


@pytest.mark.parametrize("text", ["a\0b", "\0", "a\ud800b", "\udfff", b"bytes", None, 1, ["a"]])
def test_text_that_a_store_may_alter_is_refused_without_showing_it(text: object) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        bounds.plain_text(text)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_subclass_of_text_becomes_the_plain_text_that_it_holds() -> None:
    plain = bounds.plain_text(Shout("quiet"))
    assert type(plain) is str
    assert plain == "quiet"


@pytest.mark.parametrize(("length", "fits"), [(0, False), (1, True), (255, True), (256, False)])
def test_a_name_has_1_to_255_characters(length: int, fits: bool) -> None:
    name = "é" * length
    if fits:
        assert bounds.name(name) == name
    else:
        with pytest.raises(ValueError, match="1 to 255"):
            bounds.name(name)


def test_clear_text_does_not_look_sealed() -> None:
    assert bounds.clear_text("Enc:1") == "Enc:1"
    with pytest.raises(ValueError, match="sealed"):
        bounds.clear_text("enc:")


@pytest.mark.parametrize("number", [2**53 - 1, -(2**53 - 1), float(2**53 - 1), 0.1, 5e-324, -0.0, 0, True, False, None])
def test_numbers_that_a_double_keeps_pass(number: object) -> None:
    copy = bounds.plain_json(number)
    assert copy == number
    assert type(copy) is type(number)


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**400, 1e16, math.nan, math.inf, -math.inf])
def test_numbers_that_a_double_alters_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="number"):
        bounds.plain_json({"n": [number]})


def test_an_integer_of_a_subclass_becomes_plain() -> None:
    assert type(bounds.plain_json(Number.ONE)) is int


@pytest.mark.parametrize("value", [b"", object(), {1, 2}, {1: "a"}, {"a": {None: 1}}, 1j])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        bounds.plain_json(value)


def test_containers_are_copied_into_plain_ones_at_every_level() -> None:
    inner = OrderedDict(b=(1, 2))
    copy = bounds.plain_json(MappingProxyType({"a": inner}))
    assert copy == {"a": {"b": [1, 2]}}
    assert type(copy) is dict
    assert type(copy["a"]) is dict
    assert type(copy["a"]["b"]) is list


def test_nesting_ends_at_64_levels() -> None:
    assert bounds.plain_json(nested(64)) == nested(64)
    with pytest.raises(ValueError, match="64 levels"):
        bounds.plain_json(nested(65))


def test_nesting_of_objects_ends_at_64_levels() -> None:
    value: Any = {}
    for _ in range(63):
        value = {"in": value}
    assert bounds.plain_json(value) == value
    with pytest.raises(ValueError, match="64 levels"):
        bounds.plain_json({"in": value})


def test_nesting_without_end_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(ValueError, match="64 levels"):
        bounds.plain_json(ring)


@pytest.mark.parametrize("headers", [{"a": 1}, {"a": None}, {1: "a"}, {"a\0": "b"}, {"a": "\ud800"}, [], "a: b", None])
def test_headers_are_text_to_text(headers: object) -> None:
    with pytest.raises(ValueError, match="must"):
        bounds.header_object(headers)


@pytest.mark.parametrize("value", [[], "{}", None, 1])
def test_an_object_is_a_mapping(value: object) -> None:
    with pytest.raises(ValueError, match="JSON object"):
        bounds.json_object(value)


def test_a_client_secret_does_not_look_sealed() -> None:
    information = {"client_secret": "s", "nested": {"client_secret": "enc:free"}}
    assert bounds.client_object(information) == information
    with pytest.raises(ValueError, match="client_secret must not begin with 'enc:'") as caught:
        bounds.client_object({"client_secret": "enc:1:planted"})
    assert "planted" not in str(caught.value)
    assert caught.value.__context__ is None
