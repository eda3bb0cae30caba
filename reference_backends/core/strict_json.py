"""JSON as its standard has it: no NaN and no infinity, in whatever spelling Python's own coder takes or gives them."""

from __future__ import annotations

import json
import math

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Compact, and not escaped beyond need. Raises ``TypeError``, ``ValueError`` and ``RecursionError``."""

encode_ascii = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
"""The same with escapes for all but ASCII: what holds lone surrogates can be written so, and in UTF-8 it cannot."""


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError("a number beyond all doubles")
    return value


decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
"""The value of a JSON text. Raises ``ValueError``, which may show the text, and ``RecursionError``."""
