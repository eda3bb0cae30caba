"""JSON by its standard. Python's own coder also reads and writes NaN and infinity; these functions do not."""

from __future__ import annotations

import json
import math

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Encode a value as compact JSON with few escapes. Raises ``TypeError``, ``ValueError`` and ``RecursionError``."""

encode_ascii = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
"""The same with ASCII only. Lone surrogates can be written in this form, but not in UTF-8."""


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError("the number is too large for a double")
    return value


decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
"""Decode a JSON text. Raises ``ValueError``, which may show the text, and ``RecursionError``."""
