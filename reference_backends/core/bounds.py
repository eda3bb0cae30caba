"""Which text and JSON a session may hold. Every store can keep these values unchanged.

The bounds are those of JSONB, JavaScript numbers and UTF-8 together: no NUL, no lone surrogate, no number that a
double changes, limited nesting. Tokens and headers need no more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LARGEST_NUMBER = 2**53 - 1
DEEPEST_NESTING = 64
LONGEST_NAME = 255
ENVELOPE_PREFIX = "enc:"

_CONTAINERS = (dict, list)


def plain_text(value: object) -> str:
    """Return the text as a plain ``str``. Raise ``ValueError`` for NUL characters, lone surrogates and non-text."""
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - pydantic turns a ValueError into a field error
    if "\0" in value:
        raise ValueError("must not contain the NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            lone = True
        else:
            lone = False
        if lone:  # raised outside the handler: the context of the error would hold the text
            raise ValueError("must not contain a lone surrogate")
    return str.__str__(value)


def name(value: object) -> str:
    """Return an identity or a session id: text of 1 to 255 characters. Raise ``ValueError`` for anything else."""
    text = plain_text(value)
    if not 1 <= len(text) <= LONGEST_NAME:
        raise ValueError(f"must have 1 to {LONGEST_NAME} characters")
    return text


def clear_text(value: object) -> str:
    """Return text that cannot be confused with a sealed value. Raise ``ValueError`` if it begins with ``enc:``."""
    text = plain_text(value)
    if text.startswith(ENVELOPE_PREFIX):
        raise ValueError(f"must not begin with {ENVELOPE_PREFIX!r}, which marks a sealed value")
    return text


def plain_json(value: object, depth: int = 0) -> Any:
    """Return a copy of a JSON value in plain ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool`` and ``None``.

    Raise ``ValueError`` for anything else, for non-finite numbers, for numbers beyond ±(2⁵³ - 1), and for more than
    64 nested containers.
    """
    if isinstance(value, str):
        return plain_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        if isinstance(value, float) and not math.isfinite(value):  # isfinite() overflows on a huge int
            raise ValueError("must not contain a number that is not finite")
        if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
            raise ValueError("must not contain a number beyond ±(2⁵³ - 1)")
        return int(value) if isinstance(value, int) else float(value)
    if depth >= DEEPEST_NESTING:
        raise ValueError(f"must not nest deeper than {DEEPEST_NESTING} levels")
    if isinstance(value, Mapping):
        return {plain_text(key): plain_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item, depth + 1) for item in value]
    raise ValueError("must contain only JSON values")


def copied(value: Any) -> Any:
    """Return a deep copy of a value that :func:`plain_json` returned."""
    if type(value) is dict:
        return {key: copied(item) if type(item) in _CONTAINERS else item for key, item in value.items()}
    if type(value) is list:
        return [copied(item) if type(item) in _CONTAINERS else item for item in value]
    return value


def json_object(value: object) -> dict[str, Any]:
    """Return a copy of a JSON object, as :func:`plain_json` does. Raise ``ValueError`` for anything else."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a JSON object")  # noqa: TRY004
    copy: dict[str, Any] = plain_json(value)
    return copy


def client_object(value: object) -> dict[str, Any]:
    """Return OAuth client information: a JSON object whose ``client_secret`` cannot be confused with a sealed value."""
    copy = json_object(value)
    if isinstance(copy.get("client_secret"), str):
        try:
            clear_text(copy["client_secret"])
        except ValueError as error:
            reason = f"client_secret {error}"
        else:
            return copy
        raise ValueError(reason)
    return copy


def header_object(value: object) -> dict[str, str]:
    """Return HTTP headers: a ``dict`` of text to text. Raise ``ValueError`` for anything else."""
    if not isinstance(value, Mapping):
        raise ValueError("must be an object of text values")  # noqa: TRY004
    return {plain_text(key): plain_text(item) for key, item in value.items()}
