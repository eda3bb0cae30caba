"""The SQL tests of the policies, and that they find broken policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

POLICIES = Path(__file__).parents[2] / "supabase" / "tests" / "policies.sql"


def tap(database: psycopg.Connection[Any]) -> list[str]:
    """Return the lines that the file prints."""
    cursor = database.execute(POLICIES.read_text().encode())
    lines = []
    while True:
        if cursor.description is not None:
            lines += [row[0] for row in cursor.fetchall() if isinstance(row[0], str)]
        if not cursor.nextset():
            return lines


def test_the_policies_hold(database: psycopg.Connection[Any]) -> None:
    lines = tap(database)
    planned = int(lines[0].removeprefix("1.."))
    results = [line for line in lines[1:] if line]
    assert [line for line in results if not line.startswith("ok - ")] == []
    assert len(results) == planned
    assert database.execute("select count(*) from mcp_sessions").fetchone() == (0,)


@pytest.mark.parametrize(
    ("breach", "found"),
    [
        (
            'alter policy "Users can insert their own sessions" on mcp_sessions'
            " with check ((auth.jwt() ->> 'sub') in (user_id, identity))",
            "no row is written into another's listing",
        ),
        (
            'alter policy "Users can update their own sessions" on mcp_sessions'
            " with check ((auth.jwt() ->> 'sub') in (user_id, identity))",
            "no row is handed over",
        ),
        (
            'alter policy "Users can update their own sessions" on mcp_sessions'
            " using ((auth.jwt() ->> 'sub') in (user_id, identity)) with check (true)",
            "no row is listed elsewhere",
        ),
        (
            'alter policy "Users can view their own sessions" on mcp_sessions'
            " using ((auth.jwt() ->> 'sub') in (user_id, identity))",
            "a row that is half one's own is not seen",
        ),
        ("alter table mcp_sessions disable row level security", "nobody sees nothing"),
        ("grant all on mcp_sessions to anon", "nobody changes nothing"),
        ("grant truncate on mcp_sessions to authenticated", "no user empties the table"),
        ("revoke insert on mcp_sessions from service_role", "the service role writes rows of anybody"),
    ],
)
def test_broken_policies_are_found(database: psycopg.Connection[Any], breach: str, found: str) -> None:
    database.execute(breach.encode())
    try:
        lines = tap(database)
    except psycopg.errors.InsufficientPrivilege:  # a refusal of what should be allowed ends the file
        assert "service role" in found
    else:
        assert f"not ok - {found}" in lines
