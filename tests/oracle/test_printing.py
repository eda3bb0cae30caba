"""A recorded history is printed so that it can be read."""

from __future__ import annotations

import pytest

from pytest_mcp_storage.oracle.printing import folded


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ("abc", ["a", "b", "c"]),
        ("aab", ["a", "a", "b"]),
        ("aaaab", ["a", "… the same 3 more times …", "b"]),
        ("xababab", ["x", "a", "b", "… these 2 calls 2 more times …"]),
        ("abcdabcdabcdab", ["a", "b", "c", "d", "… these 4 calls 2 more times …", "a", "b"]),
        ("", []),
    ],
)
def test_calls_that_are_repeated_are_printed_once(lines: str, shown: list[str]) -> None:
    assert folded(list(lines)) == shown
