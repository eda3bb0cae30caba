"""Stored rows, as the file and SQLite stores write them: secrets in clear, and expiry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_mcp_storage.doctor.finding import Finding, rows_with

OVERDUE = 3600.0
"""Seconds after its expiry in which a row may wait for the next clean-up."""


def in_clear(row: Mapping[str, Any]) -> bool:
    """Return whether a row in camelCase has a secret that is not sealed."""
    information = row.get("clientInformation")
    secret = information.get("client_secret") if isinstance(information, dict) else None
    texts = (row.get("codeVerifier"), secret)
    return any(isinstance(row.get(name), dict) for name in ("tokens", "headers")) or any(
        isinstance(text, str) and not text.startswith("enc:") for text in texts
    )


def check(
    store: str, rows: Iterable[tuple[Mapping[str, Any], float | None]], sealed: bool, now: float
) -> list[Finding]:
    """Check rows, each with its expiry in seconds since the epoch."""
    clear = overdue = 0
    for row, expires_at in rows:
        clear += in_clear(row)
        overdue += expires_at is not None and expires_at < now - OVERDUE
    return counted(store, clear if sealed else 0, overdue)


def counted(store: str, clear: int, overdue: int) -> list[Finding]:
    """Return the findings for a number of rows in clear although a key is set, and of rows that expired long ago."""
    found = []
    if clear:
        message = f"{rows_with(clear, 'in clear')} although a key is set"
        found.append(Finding(f"{store}.clear", "warning", message, "run: mcp-storage reseal"))
    if overdue:
        message = f"{rows_with(overdue, 'stored more than an hour after expiry')}"
        remedy = "call cleanup_expired_sessions() regularly"
        found.append(Finding(f"{store}.expired", "warning", message, remedy))
    return found


def foreign(count: int) -> Finding:
    """Return the finding for rows of Supabase whose owner is not their identity."""
    message = f"{rows_with(count, 'listed among the sessions of another user')} (user_id is not identity)"
    remedy = "look at them, and delete those that you did not write: user_id <> identity in mcp_sessions"
    return Finding("supabase.foreign_rows", "error", message, remedy)
