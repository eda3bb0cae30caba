"""A Supabase project, through its REST API: key, table, rows, clock, limit of rows. Only SELECTs are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from email.utils import parsedate_to_datetime

from postgrest.types import CountMethod

from pytest_mcp_storage.commands.checks import rows, supabase_database
from pytest_mcp_storage.commands.checks.finding import Finding
from reference_backends.core.errors import StorageError
from reference_backends.core.settings import PUBLIC_KEYS, SERVICE_KEYS, Settings
from reference_backends.supabase.backend import TIME_LIMIT
from reference_backends.supabase.project import project_client
from reference_backends.supabase.role import role_of
from reference_backends.supabase.rows import TABLE, moment
from reference_backends.supabase.table import SupabaseTable
from reference_backends.supabase.upstream import verify

DATABASE = "SUPABASE_DB_URL"
DAY = 86400.0
MOST_SKEW = 5.0
"""Seconds; PostgREST itself accepts 30."""
FEW_ROWS = 100
MOST_ROWS = 10_000
"""Rows whose owner is compared at most, if there is no connection to the database."""


async def check(settings: Settings, sealed: bool, clock: Callable[[], float]) -> AsyncIterator[Finding]:
    """Check the project; with ``SUPABASE_DB_URL`` its database too."""
    variable = settings.first(SERVICE_KEYS) or settings.first(PUBLIC_KEYS)
    if "SUPABASE_URL" not in settings or variable is None:
        message = f"SUPABASE_URL is not set{settings.hints()}"
        yield Finding("supabase.url", "error", message, "set it to the project's URL, https://<ref>.supabase.co")
        return
    key = settings.text(variable)
    for finding in _key(variable, key, clock()):
        yield finding
    database = settings.text(DATABASE) if DATABASE in settings else None
    try:
        client = project_client(settings.text("SUPABASE_URL"), key, TIME_LIMIT)
    except StorageError as error:
        yield Finding("supabase.url", "error", str(error))
        return
    try:
        async for finding in _project(SupabaseTable(client, TIME_LIMIT), sealed, clock, compare=database is None):
            yield finding
        if PUBLIC_KEYS[0] in settings or PUBLIC_KEYS[1] in settings:
            public = settings.text(str(settings.first(PUBLIC_KEYS)))
            async for finding in _public(settings.text("SUPABASE_URL"), public):
                yield finding
    finally:
        assert client.options.httpx_client is not None
        await client.options.httpx_client.aclose()
    if database is None:
        message = f"policies, privileges and indexes were not checked: {DATABASE} is not set"
        yield Finding("supabase.database", "note", message, f"set {DATABASE} to the project's connection string")
    else:
        async for finding in supabase_database.check(database):
            yield finding


def _key(variable: str, key: str, now: float) -> list[Finding]:
    """Return the kind of a key, and its age if it is a JWT."""
    import jwt

    role = role_of(f"Bearer {key}")
    found = []
    if role == "anon":
        message = f"{variable} is a public key: row security hides every row from it"
        found.append(Finding("supabase.key", "error", message, f"set {SERVICE_KEYS[0]} (Project Settings, API Keys)"))
    try:
        claims = jwt.decode(key, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        kind = "a secret key" if key.startswith("sb_secret_") else "a key of an unknown kind"
        return found or [Finding("supabase.key", "ok", f"{variable} is {kind}")]
    age = f", issued {(now - claims['iat']) / DAY:,.0f} days ago" if isinstance(claims.get("iat"), (int, float)) else ""
    remedy = f"create a secret key (Project Settings, API Keys) and set {SERVICE_KEYS[0]}"
    left = claims["exp"] - now if isinstance(claims.get("exp"), (int, float)) else None
    if left is not None and left < 30 * DAY:
        message = f"{variable} has expired" if left < 0 else f"{variable} expires in {left / DAY:.0f} days"
        found.append(Finding("supabase.key_expiry", "error" if left < 0 else "warning", message, remedy))
    message = f"{variable} is a legacy JWT key of the role {role}{age}; Supabase drops these by the end of 2026"
    return [*found, Finding("supabase.legacy_key", "note", message, remedy)]


async def _project(
    table: SupabaseTable, sealed: bool, clock: Callable[[], float], *, compare: bool
) -> AsyncIterator[Finding]:
    try:
        before = clock()
        answer = await table.send(table.reading_none("id"))
        if (skew := _skew(answer.headers.get("Date"), before, clock())) > MOST_SKEW:
            message = f"this clock and the server's differ by {skew:.0f} s: sessions expire at the wrong time"
            yield Finding("supabase.clock", "error" if skew > 30 else "warning", message, "synchronise both by NTP")
        await verify(table)
    except StorageError as error:
        yield Finding("supabase.table", "error", str(error))
        return
    yield Finding("supabase.table", "ok", f"the table {table.name} and its columns exist")
    try:
        for finding in await _rows(table, sealed, clock()):
            yield finding
        if (limit := await _limit(table)) is not None and limit < FEW_ROWS:
            message = f"PostgREST returns only {limit} row(s) at a time, so listings need many requests"
            yield Finding("supabase.max_rows", "warning", message, "raise max_rows (API settings); 1,000 is usual")
        if compare and (foreign := await _foreign(table)):
            yield rows.foreign(foreign)
    except StorageError as error:
        yield Finding("supabase.rows", "error", str(error))


def _skew(date: str | None, before: float, after: float) -> float:
    """Return how far the server's time is outside the time of the request, to which HTTP's Date is exact to 1 s."""
    if date is None:
        return 0.0
    server = parsedate_to_datetime(date).timestamp()
    return max(0.0, before - server - 1, server - after)


async def _rows(table: SupabaseTable, sealed: bool, now: float) -> list[Finding]:
    clear = 0
    if sealed:
        request = table.reading("id", count=CountMethod.exact).or_("tokens.cs.{},headers.cs.{}").limit(1)
        clear = (await table.answer(request)).total or 0
    overdue = table.reading("id", count=CountMethod.exact).lt("expires_at", moment(now - rows.OVERDUE)).limit(1)
    return rows.counted("supabase", clear, (await table.answer(overdue)).total or 0)


async def _limit(table: SupabaseTable) -> int | None:
    """Return PostgREST's limit of rows if there are enough rows to see it."""
    answer = await table.answer(table.reading("id", count=CountMethod.exact).limit(FEW_ROWS))
    cut = answer.total is not None and len(answer.rows) < min(answer.total, FEW_ROWS)
    return len(answer.rows) if cut else None


async def _foreign(table: SupabaseTable) -> int:
    """Return how many of the first rows belong to another user than their identity."""
    found = seen = 0
    async for page in table.pages("id", "identity", "user_id", live_at=moment(0)):
        found += sum(row["user_id"] != row["identity"] for row in page)
        seen += len(page)
        if seen >= MOST_ROWS:
            break
    return found


async def _public(url: str, key: str) -> AsyncIterator[Finding]:
    """Check that a caller who is not signed in sees no row."""
    client = project_client(url, key, TIME_LIMIT)
    table = SupabaseTable(client, TIME_LIMIT)
    try:
        if await table.rows(table.reading("id").limit(1)):
            message = "a caller who is not signed in can read sessions"
            remedy = f"enable row level security of {TABLE}, and drop policies that are not the store's"
            yield Finding("supabase.public", "error", message, remedy)
    except StorageError:
        return  # what is refused is not readable
    finally:
        assert client.options.httpx_client is not None
        await client.options.httpx_client.aclose()
