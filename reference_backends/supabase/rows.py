"""Convert a record to a row of ``mcp_sessions`` and back.

The columns are those of ``@mcp-ts/sdk`` 1.6: times are timestamps, objects are JSONB, and an envelope is a JSON string
in such a column. Every insert names every column, so that a default of the table never replaces an absent field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reference_backends.core.record import Record
from reference_backends.core.session import SessionData

Row = dict[str, Any]

TABLE = "mcp_sessions"
SESSION_COLUMNS = tuple(SessionData.model_fields)
TABLE_COLUMNS = (*SESSION_COLUMNS, "id", "user_id", "expires_at")
"""The columns that the store needs."""
VERSION = "xmin"
"""PostgreSQL's system column with the transaction that wrote this version of the row. Every update changes it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_MS = 86_400_000


def new_row(record: Record, expires_at: str) -> Row:
    """Return the row to insert: every column of a session, owned by its identity."""
    row: Row = {column: record.get(column) for column in SESSION_COLUMNS}
    return changed_columns(row) | {"user_id": record["identity"], "expires_at": expires_at}


def changed_columns(changes: Mapping[str, Any]) -> Row:
    """Return the columns that an update changes, with ``None`` for removed fields."""
    row = dict(changes)
    if "created_at" in row:
        row["created_at"] = (_EPOCH + row["created_at"] * _MILLISECOND).isoformat()
    return row


def record_of(row: Row) -> Record:
    """Return the record in a row, ``created_at`` in milliseconds. Raise ``ValueError`` if that is not a timestamp."""
    return {**row, "created_at": milliseconds(row["created_at"])}


def milliseconds(timestamp: str) -> int:
    """Return the milliseconds since the epoch of a timestamp in PostgreSQL's format, rounded down.

    In time zones east of Greenwich the last hours of the year 9999 have the year 10000, which ``datetime`` refuses.
    """
    if timestamp.startswith("10000-01-01"):
        return milliseconds("9999-12-31" + timestamp[11:]) + _DAY_MS
    return (datetime.fromisoformat(timestamp) - _EPOCH) // _MILLISECOND


def moment(seconds: float) -> str:
    """Return the timestamp of a time in seconds since the epoch, rounded down to a microsecond."""
    return _timestamp(math.floor(seconds * 1_000_000))


def expiry(seconds: float) -> str:
    """Return the timestamp of an expiry, rounded up to a microsecond: a session never expires early (EX-1)."""
    return _timestamp(math.ceil(seconds * 1_000_000))


def _timestamp(microseconds: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return _LATEST.isoformat()
