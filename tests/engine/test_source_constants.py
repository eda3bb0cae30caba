"""Which constants are read from a store's source."""

from __future__ import annotations

import ast

import pytest

from pytest_mcp_storage.engine.source_constants import SourceConstants, constants_in


@pytest.mark.parametrize(
    ("source", "texts", "numbers"),
    [
        ('key = f"{a}:{b}"', (":",), ()),
        ("if len(page) == 1000: pass", (), (1000,)),
        ("LIMIT = 32 * 1024", (), (32768, 32, 1024)),
        ("x = -5", (), (5,)),
        ('prefix = b"enc:"', ("enc:",), ()),
        ("def f(x: 'Annotated'): return 'value'", ("value",), ()),
        ('"""A docstring of the module."""\nx = 1', (), (1,)),
        ('raise E("this is a message for a person to read")', (), ()),
        ("x = True", (), ()),
        ("x = 2 ** 53 - 1", (), (9007199254740991, 9007199254740992, 1, 2, 53)),
        ("x = '\\ud800'", (), ()),
    ],
)
def test_literals_are_read_and_prose_is_not(source: str, texts: tuple[str, ...], numbers: tuple[int, ...]) -> None:
    found = constants_in([ast.parse(source)])
    assert found.texts == texts
    assert set(found.numbers) == set(numbers)


def test_each_number_gives_its_neighbours_within_the_bounds() -> None:
    found = SourceConstants(numbers=(1000, 1, 2.5, 10**9))
    assert found.around(1, 2500) == [1, 2, 999, 1000, 1001]
