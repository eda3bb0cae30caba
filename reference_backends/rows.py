"""A record as the JSON text of a row, in upstream's camelCase."""

from __future__ import annotations

import json
from typing import Any

from reference_backends.record import Record, to_wire

# ASCII only: another program's fields may hold lone surrogates, which JSON can escape and UTF-8 cannot spell.
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def row_text(record: Record, **columns: object) -> str:
    """The row on one line, with further columns after the record's fields."""
    return _encode({**to_wire(record), **columns})


def decoded(text: bytes | str) -> Any:
    """The JSON value, or ``None`` where the text is not JSON: an exception would carry the text along (EN-10)."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)
