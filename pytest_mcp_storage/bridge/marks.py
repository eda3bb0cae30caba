"""One JSON object per line, and stand-ins for values that JSON lacks or that other languages alter.

A stand-in is an object whose only key is ``$``::

    {"$": "undefined"}  {"$": "NaN"}  {"$": "Infinity"}  {"$": "-Infinity"}  {"$": "-0"}
    {"$": {"integer": "9007199254740993"}}     beyond ±(2⁵³ - 1)
    {"$": {"utf16": "0061d800"}}               text with a lone surrogate: its UTF-16 code units in hexadecimal
    {"$": {"quoted": 5}}                       the plain object {"$": 5}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pytest_mcp_storage.spec.harness import NotMeasurable
from reference_backends.core.bounds import LARGEST_NUMBER
from reference_backends.core.strict_json import decode

MARK = "$"


class Undefined:
    """Type of :data:`UNDEFINED`."""

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined()
"""JavaScript's ``undefined``: in an update, remove the field."""

_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "-0": -0.0}
_MARKERS = ('"$"', "NaN", "Infinity", "-0.0")
_LONG_NUMBERS = [re.compile(pattern).search for pattern in (r":-?\d{16}", r",-?\d{16}", r"\[-?\d{16}")]
"""Three patterns that each begin with a literal are much faster than one with alternatives."""
_is_integer = re.compile(r"-?[0-9]+").fullmatch
_is_utf16 = re.compile(r"(?:[0-9a-fA-F]{4})*").fullmatch
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write_line(message: Mapping[str, Any]) -> bytes:
    """Return the message as one line of UTF-8. Raises :class:`NotMeasurable` for a value that is not JSON.

    Most messages need no stand-in. Encoding one and searching the text is faster than visiting every value.
    """
    try:
        text = _dumps(message)
        if not _may_need_marks(text):
            return text.encode() + b"\n"
    except (TypeError, UnicodeEncodeError, RecursionError):
        pass  # mark() replaces the value, or raises
    try:
        return _dumps({key: mark(value) for key, value in message.items()}).encode() + b"\n"
    except RecursionError:
        pass  # raised below, without that traceback
    raise NotMeasurable("the value is nested too deeply for JSON")


def read_line(line: bytes) -> Any:
    """Return the value of one line. Raises ``ValueError`` for invalid JSON or UTF-8, or an unknown stand-in."""
    text = line.decode()
    value = decode(text)
    return unmark(value) if '"$"' in text or "\\u0024" in text else value


def _may_need_marks(text: str) -> bool:
    return any(telltale in text for telltale in _MARKERS) or any(search(text) for search in _LONG_NUMBERS)


def mark(value: object) -> Any:
    """Return a copy with stand-ins for what JSON lacks. Raises :class:`NotMeasurable` for other values."""
    if isinstance(value, str):
        return _marked_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -LARGEST_NUMBER <= value <= LARGEST_NUMBER else {MARK: {"integer": str(value)}}
    if isinstance(value, float):
        return _marked_float(value)
    if isinstance(value, Mapping):
        return _marked_object(value)
    if isinstance(value, (list, tuple)):
        return [mark(item) for item in value]
    if isinstance(value, Undefined):
        return {MARK: "undefined"}
    raise NotMeasurable(f"a bridge accepts only JSON values, not one of type {type(value).__name__}")


def unmark(value: Any) -> Any:
    """Return the value with every stand-in replaced by its value; ``undefined`` becomes ``None``."""
    if isinstance(value, list):
        return [unmark(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or MARK not in value:
        return {key: unmark(item) for key, item in value.items()}
    match value[MARK]:
        case "undefined":
            return None
        case "NaN" | "Infinity" | "-Infinity" | "-0" as name:
            return _FLOATS[name]
        case {"integer": str(digits), **more} if not more and _is_integer(digits):
            return int(digits)
        case {"utf16": str(units), **more} if not more and _is_utf16(units):
            return bytes.fromhex(units).decode("utf-16-be", "surrogatepass")
        case {"quoted": quoted, **more} if not more:
            return {MARK: unmark(quoted)}
    raise ValueError("an unknown stand-in")


def _marked_text(text: str) -> Any:
    return text if _is_encodable(text) else {MARK: {"utf16": text.encode("utf-16-be", "surrogatepass").hex()}}


def _marked_float(number: float) -> Any:
    if math.isnan(number):
        return {MARK: "NaN"}
    if math.isinf(number):
        return {MARK: "Infinity" if number > 0 else "-Infinity"}
    return {MARK: "-0"} if number == 0 and math.copysign(1, number) < 0 else number


def _marked_object(value: Mapping[Any, Any]) -> Any:
    if not all(isinstance(key, str) and _is_encodable(key) for key in value):
        raise NotMeasurable("a bridge accepts only objects with text keys")
    copy = {key: mark(item) for key, item in value.items()}
    return {MARK: {"quoted": copy[MARK]}} if len(copy) == 1 and MARK in copy else copy


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
