"""Output for any terminal and file: characters that its encoding lacks are replaced, and nothing fails."""

from __future__ import annotations

import codecs
import io
import sys
from typing import TextIO

HANDLER = "pytest_mcp_storage.nearest"
NEAREST = {"…": "...", "→": "->", "≥": ">=", "≤": "<=", "×": "x", "·": "-", "–": "-", "—": "-", "−": "-", "±": "+-",
           "✓": "v", "✗": "x", "│": "|", "─": "-", "█": "#", "░": ".", "’": "'", "“": '"', "”": '"'}  # fmt: skip

DEFAULTS = ("strict", "surrogateescape", "backslashreplace")
"""How Python treats what can't be encoded unless PYTHONIOENCODING says otherwise."""


def accept_every_character() -> None:
    """Let standard output and standard error replace what they can't encode, as on Windows or in the C locale."""
    codecs.register_error(HANDLER, _nearest)
    for stream in (sys.stdout, sys.stderr):
        _replace(stream)


def _replace(stream: TextIO) -> None:
    if isinstance(stream, io.TextIOWrapper) and stream.errors in DEFAULTS:
        stream.reconfigure(errors=HANDLER)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(map(_plain, lacking)), error.end


def _plain(character: str) -> str:
    return NEAREST.get(character) or character.encode("ascii", "backslashreplace").decode()
