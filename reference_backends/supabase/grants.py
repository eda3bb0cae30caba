"""The two causes of PostgreSQL's error 42501: row security, which works as intended, and a missing GRANT."""

from __future__ import annotations

import re

from reference_backends.core.errors import StorageError, StorageSetupError

TABLE_RIGHTS = "select, insert, update, delete"

_OBJECT = re.compile(r'permission denied for (\w+) "?([a-z_][a-z0-9_.]*)"?')


def forbidden(message: str, role: str | None, table: str = "mcp_sessions") -> StorageError:
    """Return the error for 42501. ``message`` is PostgreSQL's in lower case; ``role`` is the caller's, if known."""
    if "set role" in message:
        wanted = role or "service_role"
        return _missing(f"the role authenticator may not act as {wanted}", f"grant {wanted} to authenticator;")
    if "row-level security" in message:
        if role != "service_role":
            return _not_yours()
        return _missing("the role service_role is bound by row security", "alter role service_role bypassrls;")
    if role == "anon" or (role is None and not message.startswith("permission denied")):
        return _not_yours()
    return _missing_grant(message, role or "service_role", table)


def _missing_grant(message: str, role: str, table: str) -> StorageError:
    found = _OBJECT.search(message)
    kind, name = (found[1], found[2]) if found else ("table", table)
    if kind == "function" and name == "jwt":
        return _missing(f"the role {role} may not call auth.jwt()", f"grant execute on function auth.jwt() to {role};")
    if (kind, name) not in {("schema", "public"), ("table", table), ("view", table)}:
        return StorageSetupError(
            f"the role {role} has no rights on {kind} {name}, which the table {table} uses (a trigger, a view?): "
            f"grant {role} the rights that it needs on {name}"
        )
    return _missing(
        f"the role {role} has no rights on {kind} {name}",
        f"grant usage on schema public to {role}; grant {TABLE_RIGHTS} on public.{table} to {role};",
    )


def _missing(what: str, statement: str) -> StorageError:
    return StorageSetupError(
        f"{what}: a GRANT is missing. Apply the migrations again, or run this in the SQL editor: {statement}"
    )


def _not_yours() -> StorageError:
    return StorageError(
        "Supabase permits this only to the session's own user or to the service role; "
        "use the service role key, or a client signed in as the identity"
    )
