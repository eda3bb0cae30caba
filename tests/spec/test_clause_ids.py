"""Clause ids in their order, and drawn together."""

from __future__ import annotations

import pytest

from pytest_mcp_storage.spec.clause_ids import compact, natural


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        ([], ""),
        (["EX-1"], "EX-1"),
        (["EX-1", "EX-2"], "EX-1, EX-2"),
        (["EX-1", "EX-2", "EX-3"], "EX-1 to EX-3"),
        (["EX-9", "EX-10", "EX-11", "MX-12", "MX-2"], "EX-9 to EX-11, MX-12, MX-2"),
        (["EX-1", "EX-3"], "EX-1, EX-3"),
        (["odd", "odd", ""], "odd, odd, "),
    ],
)
def test_ids_in_a_row_are_drawn_together(ids: list[str], shown: str) -> None:
    assert compact(ids) == shown


def test_ids_are_sorted_by_their_numbers_whatever_they_are() -> None:
    ids = ["EX-10", "EX-2", "LC-1", "²", "9" * 5000, "", "EX", "1-EX"]
    assert sorted(ids, key=natural)[-4:] == ["EX-2", "EX-10", "LC-1", "²"]
