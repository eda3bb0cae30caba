"""Record to row of ``mcp_sessions`` and back.

The columns are those of ``@mcp-ts/sdk`` 1.6: moments are timestamps, objects are JSONB, and an envelope is a JSON
string in such a column. Every insert names every column, so that no default of the table counts for an absent field.
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
"""The columns without which nothing works here."""
VERSION = "xmin"
"""PostgreSQL's own column: the transaction that wrote this version of the row, so that every update changes it."""
SECRET_COLUMNS = ("tokens", "headers", "code_verifier", "client_information")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_MS = 86_400_000

NOT_IN_CLEAR: Mapping[str, str] = {
    "tokens": "tokens.is.null,tokens.not.cs.{}",
    "headers": "headers.is.null,headers.not.cs.{}",
    "code_verifier": "code_verifier.is.null,code_verifier.like.enc:*",
    "client_information": "client_information->>client_secret.is.null,client_information->>client_secret.like.enc:*",
}
"""By column: the alternatives, in PostgREST's words, one of which holds where no secret lies there in clear.

An object contains ``{}``; an envelope, being a string, does not.
"""

GLIMPSE: Mapping[str, str] = {
    "tokens": "tokens:tokens->_",
    "headers": "headers:headers->_",
    "code_verifier": "code_verifier",
    "client_information": "client_information:client_information->>client_secret",
}
"""By column: what an update selects of it. PostgREST applies alternatives to what an update returns, too, and finds
only columns there that are selected; one member of it is enough, and spares the rest the journey.
"""


def new_row(record: Record, expires_at: str) -> Row:
    """The row to insert: every column of a session, owned by its identity."""
    row: Row = {column: record.get(column) for column in SESSION_COLUMNS}
    return changed_columns(row) | {"user_id": record["identity"], "expires_at": expires_at}


def changed_columns(changes: Mapping[str, Any]) -> Row:
    """The columns that an update names, with ``None`` for those that shall be gone."""
    row = dict(changes)
    if "created_at" in row:
        row["created_at"] = (_EPOCH + row["created_at"] * _MILLISECOND).isoformat()
    return row


def record_of(row: Row) -> Record:
    """The record in a row; ``created_at`` in milliseconds. Raises ``ValueError`` where that is no timestamp."""
    return {**row, "created_at": milliseconds(row["created_at"])}


def milliseconds(timestamp: str) -> int:
    """Milliseconds since the epoch of a timestamp as PostgreSQL prints it, rounded down.

    East of Greenwich the last hours of the year 9999 are printed as the year 10000, which ``datetime`` does not know.
    """
    if timestamp.startswith("10000-01-01"):
        return milliseconds("9999-12-31" + timestamp[11:]) + _DAY_MS
    return (datetime.fromisoformat(timestamp) - _EPOCH) // _MILLISECOND


def moment(seconds: float) -> str:
    """The timestamp of a moment in seconds since the epoch, to the microsecond below."""
    return _timestamp(math.floor(seconds * 1_000_000))


def expiry(seconds: float) -> str:
    """The same to the microsecond above: a session never ends early (EX-1)."""
    return _timestamp(math.ceil(seconds * 1_000_000))


def _timestamp(microseconds: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return _LATEST.isoformat()
