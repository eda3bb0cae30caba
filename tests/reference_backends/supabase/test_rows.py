"""Times as timestamps of the table."""

from __future__ import annotations

import pytest

from reference_backends.core.session import LATEST_MOMENT_MS
from reference_backends.supabase.rows import changed_columns, expiry, milliseconds, moment


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("1970-01-01T00:00:00+00:00", 0),
        ("1969-12-31T19:00:00.001-05:00", 1),
        ("2026-11-23T17:29:00.12+00:00", 1795454940120),
        ("2026-11-23T17:29:00.120999+00:00", 1795454940120),
        ("9999-12-31T23:59:59.999+00:00", LATEST_MOMENT_MS),
        ("10000-01-01T13:59:59.999+14:00", LATEST_MOMENT_MS),
    ],
)
def test_a_printed_timestamp_is_read_to_the_millisecond(printed: str, expected: int) -> None:
    assert milliseconds(printed) == expected


@pytest.mark.parametrize("created_at", [0, 1, 999, 1_700_000_000_123, LATEST_MOMENT_MS - 1, LATEST_MOMENT_MS])
def test_a_creation_moment_comes_back_as_it_was(created_at: int) -> None:
    assert milliseconds(changed_columns({"created_at": created_at})["created_at"]) == created_at


def test_the_present_is_rounded_down_and_an_expiry_up() -> None:
    assert moment(1.0000004) == "1970-01-01T00:00:01+00:00"
    assert expiry(1.0000004) == "1970-01-01T00:00:01.000001+00:00"
    assert expiry(1.0) == moment(1.0) == "1970-01-01T00:00:01+00:00"


def test_an_expiry_past_the_calendar_is_its_last_moment() -> None:
    assert expiry(1e12) == "9999-12-31T23:59:59.999999+00:00"
