"""A record as the JSON text of a row, in upstream's camelCase."""

from __future__ import annotations

import json
from typing import Any

from reference_backends.record import Record, to_wire


def _refuse(constant: str) -> None:
    """JSON has no NaN and no infinity, whatever Python's decoder takes."""
    raise ValueError(constant)


# ASCII only: another program's fields may hold lone surrogates, which JSON can escape and UTF-8 cannot spell.
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder(parse_constant=_refuse).decode


def row_text(record: Record, **columns: object) -> str:
    """The row on one line, with further columns after the record's fields."""
    return _encode({**to_wire(record), **columns})


def decoded(text: bytes) -> Any:
    """The JSON value, or ``None`` where the text is not JSON: an exception would carry the text along (EN-10)."""
    try:
        return _decode(text.decode())
    except (ValueError, RecursionError):
        return None
