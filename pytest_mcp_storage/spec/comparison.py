"""Comparison of JSON values as a reader of JSON sees them, which differs from Python's ``==``."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.spec.describe import short_repr
from reference_backends import SessionData

FIELDS = set(SessionData.model_fields)
"""Those that the contract knows of."""


def difference(seen: SessionData | None, expected: SessionData) -> str:
    """Describe how ``seen`` differs from what is expected; return an empty text if it does not.

    Numbers compare by value (1 = 1.0, -0.0 = 0.0); ``True`` is no number; absent, ``None`` and empty differ.
    """
    if seen is None:
        return "nothing"
    if not isinstance(seen, SessionData):
        return f"a {type(seen).__name__} in place of a SessionData"
    # A store may have its own session class, with more fields than the contract has.
    return first_difference(seen.model_dump(include=FIELDS, warnings=False), expected.model_dump())


def first_difference(seen: Any, expected: Any, place: str = "") -> str:
    """Describe the first place where two JSON values differ; return an empty text if they are equal."""
    here = place or "the value"
    if isinstance(expected, dict) and isinstance(seen, dict):
        for key in [*expected, *(key for key in seen if key not in expected)]:
            inner = f"{place}.{key}" if place else str(key)
            if key not in seen:
                return f"{inner} missing"
            if key not in expected:
                return f"{inner} = {short_repr(seen[key], 80)} where nothing was stored"
            if found := first_difference(seen[key], expected[key], inner):
                return found
        return ""
    if isinstance(expected, list) and isinstance(seen, list):
        if len(seen) != len(expected):
            return f"{here} with {len(seen)} items in place of {len(expected)}"
        pairs = enumerate(zip(seen, expected, strict=True))
        return next((found for i, pair in pairs if (found := first_difference(*pair, f"{here}[{i}]"))), "")
    return "" if _same(seen, expected) else f"{here} = {short_repr(seen, 120)} in place of {short_repr(expected, 120)}"


def _same(seen: object, expected: object) -> bool:
    if isinstance(seen, bool) or isinstance(expected, bool):
        return seen is expected
    numbers = (int, float)
    if isinstance(seen, numbers) and isinstance(expected, numbers):
        return seen == expected
    return type(seen) is type(expected) and seen == expected
