"""The table of a Supabase project, read from PostgreSQL's catalogue: row security, policies, privileges, indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from pytest_mcp_storage.commands.checks import rows
from pytest_mcp_storage.commands.checks.finding import Finding
from reference_backends.supabase.push import migrate
from reference_backends.supabase.rows import TABLE

if TYPE_CHECKING:
    from psycopg import AsyncConnection

OURS = {f"Users can {action} their own sessions" for action in ("view", "insert", "update", "delete")}
NEEDED = {
    "anon": {"SELECT"},
    "authenticated": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "service_role": {"SELECT", "INSERT", "UPDATE", "DELETE"},
}
DANGEROUS = {"anon": {"INSERT", "UPDATE", "DELETE", "TRUNCATE"}, "authenticated": {"TRUNCATE"}}
INDEXES = {
    "session_id": ("error", "two sessions can have the same id"),
    "identity, session_id": ("warning", "listings read the whole table"),
    "expires_at": ("warning", "the clean-up reads the whole table"),
}
"""Columns that an index must begin with -> level, and what happens without it."""

_POLICIES = """
select policyname, permissive, coalesce(qual, ''), coalesce(with_check, '') from pg_policies
where schemaname = 'public' and tablename = %s
"""
_PRIVILEGES = """
select role, privilege from unnest(array['anon', 'authenticated', 'service_role']) as role,
    unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) as privilege
where exists (select from pg_roles where rolname = role)
    and has_table_privilege(role, ('public.' || quote_ident(%s))::regclass, privilege)
"""
_INDEXES = """
select (select string_agg(attname, ', ' order by place) from unnest(indkey) with ordinality as keys (number, place)
    join pg_attribute on attrelid = indrelid and attnum = number where place <= indnkeyatts), indisunique
from pg_index where indrelid = ('public.' || quote_ident(%s))::regclass and indisvalid and indpred is null
"""
_FOREIGN = f"select count(*) from public.{TABLE} where user_id is distinct from identity"  # noqa: S608


async def check(url: str) -> AsyncIterator[Finding]:
    """Check the database at a connection string."""
    import psycopg

    try:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=8) as connection:
            await connection.set_read_only(True)
            for finding in await _table(connection):
                yield finding
    except psycopg.Error as error:  # its text may contain the connection string
        message = f"the database of SUPABASE_DB_URL can't be examined ({type(error).__name__})"
        yield Finding(
            "supabase.database", "error", message, "check SUPABASE_DB_URL; it needs a role that owns the table"
        )


async def _table(connection: AsyncConnection[Any]) -> list[Finding]:
    secured = await _query(
        connection, "select relrowsecurity from pg_class where oid = to_regclass(%s)", f"public.{TABLE}"
    )
    if not secured:
        return []  # the check of the REST API reports it
    found = []
    if not secured[0][0]:
        message = f"row security is off: every user can read and change all sessions of {TABLE}"
        found.append(
            Finding("supabase.row_security", "error", message, f"alter table {TABLE} enable row level security;")
        )
    found += _policies(await _query(connection, _POLICIES, TABLE))
    found += _privileges(await _query(connection, _PRIVILEGES, TABLE))
    found += _indexes(await _query(connection, _INDEXES, TABLE))
    [(foreign,)] = await _query(connection, _FOREIGN)
    if foreign:
        found.append(rows.foreign(foreign))
    return found or [Finding("supabase.database", "ok", "row security, policies, privileges and indexes are sound")]


def _policies(policies: list[tuple[str, str, str, str]]) -> Iterator[Finding]:
    names = {name for name, *_ in policies}
    if missing := sorted(OURS - names):
        message = f"policies are missing: {', '.join(missing)}"
        yield Finding("supabase.policies", "error", message, migrate())
    for name, permissive, using, checking in policies:
        if name in OURS:
            conditions = [condition for condition in (using, checking) if condition]
            if not all(_names_both(condition) for condition in conditions):
                message = f"the policy {name!r} checks only one of user_id and identity, as in @mcp-ts/sdk: "
                message += "users can write rows that are listed among another user's sessions"
                yield Finding("supabase.policy_hole", "error", message, migrate())
        elif permissive == "PERMISSIVE":
            message = f"the policy {name!r} gives access in addition to those of the store"
            remedy = f'if it is not meant: drop policy "{name}" on {TABLE};'
            yield Finding("supabase.other_policies", "warning", message, remedy)


def _names_both(condition: str) -> bool:
    """Return whether a condition needs both columns."""
    return "user_id" in condition and "identity" in condition and " OR " not in condition


def _privileges(grants: list[tuple[str, str]]) -> Iterator[Finding]:
    held: dict[str, set[str]] = {}
    for role, privilege in grants:
        held.setdefault(role, set()).add(privilege)
    for role, needed in NEEDED.items():
        if missing := ", ".join(sorted(needed - held.get(role, set()))).lower():
            level = "error" if role == "service_role" else "warning"
            message = f"the role {role} lacks privileges on {TABLE}: {missing}"
            yield Finding("supabase.privileges", level, message, f"grant {missing} on public.{TABLE} to {role};")  # type: ignore[arg-type]
        if extra := ", ".join(sorted(DANGEROUS.get(role, set()) & held.get(role, set()))).lower():
            message = f"the role {role} has privileges on {TABLE} that it must not have: {extra}"
            yield Finding("supabase.privileges", "error", message, f"revoke {extra} on public.{TABLE} from {role};")


def _indexes(indexes: list[tuple[str, bool]]) -> Iterator[Finding]:
    for columns, (level, effect) in INDEXES.items():
        unique = columns == "session_id"
        if not any(
            (found == columns if unique else found.startswith(columns)) and one >= unique for found, one in indexes
        ):
            message = f"there is no {'unique ' if unique else ''}index on {columns}: {effect}"
            yield Finding("supabase.indexes", level, message, migrate())  # type: ignore[arg-type]


async def _query(connection: AsyncConnection[Any], text: str, *values: str) -> list[Any]:
    cursor = await connection.execute(text.encode(), values or None)
    return await cursor.fetchall()
