"""Values, and the outcomes of calls, in words that fit a terminal."""

from __future__ import annotations

import re

from reference_backends import SessionData

ABSENT = re.compile(r", \w+=None(?=[,)])")


def describe(got: object) -> str:
    """Return the outcome of a call in words."""
    if isinstance(got, BaseException):
        return f"raised {type(got).__name__}: {got}"
    return f"returned {short_repr(got)}"


def short_repr(value: object, limit: int = 300) -> str:
    """Return ``repr``, of a session without its absent fields, cut to a length that a terminal bears."""
    text = repr(value)
    if isinstance(value, SessionData):
        text = ABSENT.sub("", text)
    return text if len(text) <= limit else f"{text[: limit - 20]}… ({len(text)} characters)"
