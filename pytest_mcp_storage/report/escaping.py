"""Make text of unknown origin safe to show: names, messages and histories come from stores under test."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and line feed: a terminal obeys them, XML refuses them
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff"  # unseen, or reversing text
    "\ud800-\udfff"  # lone surrogates: no encoding accepts them
    "\ufdd0-\ufdef\ufff9-\uffff"  # not characters
    "\U000e0000-\U000e001f\U000e0080-\U000e0fff"  # tags, except those in flag emoji
    "]"
)


def printable(text: str) -> str:
    """Return the text with each invisible character, or one that controls a terminal, escaped as Python does it.

    Tabs, line feeds and the joiners inside emoji stay.
    """
    return _UNSEEN.sub(lambda found: _escape(found[0]), text)


def one_line(text: str) -> str:
    """Return the same in one line: line ends and tabs become single spaces."""
    return printable(" ".join(part for part in map(str.strip, re.split(r"[\r\n\t]+", text)) if part))


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
