"""A record as the JSON text of a row, in upstream's camelCase."""

from __future__ import annotations

from typing import Any

from reference_backends.core import strict_json
from reference_backends.core.record import Record, to_wire


def row_text(record: Record, **columns: object) -> str:
    """Return the row as one line of JSON, with further columns after the record's fields."""
    return strict_json.encode_ascii({**to_wire(record), **columns})


def decoded(text: bytes) -> Any:
    """Return the JSON value, or ``None`` if the text is not JSON: an exception would hold the text (EN-10)."""
    try:
        return strict_json.decode(text.decode())
    except (ValueError, RecursionError):
        return None
