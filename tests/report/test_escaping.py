"""Characters that control a terminal or are invisible are escaped."""

from __future__ import annotations

import pytest

from pytest_mcp_storage.report.escaping import one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 👩‍👩‍👧 🏴󠁧󠁢󠁳󠁣󠁴󠁿", "plain é 漢 👩‍👩‍👧 🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
        ("a\x1b[31mred\x1b[0m", "a\\x1b[31mred\\x1b[0m"),
        ("\x00\x7f\x9b\r", "\\x00\\x7f\\x9b\\r".replace("\\r", "\\x0d")),
        ("user\u202egnp.exe\u2066", "user\\u202egnp.exe\\u2066"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud800lone\udfff", "\\ud800lone\\udfff"),
        ("\ufffe\uffff", "\\ufffe\\uffff"),
        ("\U000e0001", "\\U000e0001"),
        ("kept\n\tas it is", "kept\n\tas it is"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("  a\r\n   b\tc \n", "a b c"), ("", ""), ("two  spaces stay", "two  spaces stay"), ("\n\n", "")],
)
def test_a_text_in_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_every_shown_character_can_be_encoded_and_is_valid_in_xml() -> None:
    everything = printable("".join(map(chr, range(0x11000))))
    everything.encode("utf-8")
    forbidden = {*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF}
    assert not forbidden & set(map(ord, everything))
