"""Detect the table ``mcp_sessions`` of ``@mcp-ts/client`` (2 to 4), which has the same name but other columns.

This store can share the table of ``@mcp-ts/sdk`` 1.6 only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from reference_backends.core.errors import StorageSetupError
from reference_backends.supabase.refusals import NO_COLUMN, NO_TABLE, refusal_of, refused
from reference_backends.supabase.rows import TABLE_COLUMNS

if TYPE_CHECKING:
    from reference_backends.supabase.table import SupabaseTable

TableKind = Literal["ours", "older", "upstream-client", "missing"]

SUGGESTED = "mcp_storage_sessions"
"""A name for our table if the default one is in use."""


async def verify(table: SupabaseTable) -> None:
    """Check that the table has the columns that the store needs. Raise ``StorageSetupError``."""
    try:
        await table.rows(table.reading_none(*TABLE_COLUMNS))
    except StorageSetupError as error:
        problem = error
    else:
        return
    if await table_kind(table) == "upstream-client":
        problem = upstream_client_error(table.name)
    raise problem


async def table_kind(table: SupabaseTable) -> TableKind:
    """Return the kind of a table. Send SELECTs that return no rows.

    ``ours`` includes the table of ``@mcp-ts/sdk`` 1.6; ``older`` lacks a column that the migrations add. Raise the
    error of the request for every other error response.
    """
    for columns, kind in ((TABLE_COLUMNS, "ours"), (("identity",), "older")):
        answer = await table.send(table.reading_none(*columns))
        if answer.is_success:
            return cast(TableKind, kind)
        refusal = refusal_of(answer)
        if refusal.code in NO_TABLE or (not refusal.code and answer.status_code == 404):
            return "missing"
        if refusal.code not in NO_COLUMN:
            raise refused(refusal, table.caller())
    return "upstream-client"


def upstream_client_error(table: str) -> StorageSetupError:
    """Return the error for a table of ``@mcp-ts/client``."""
    return StorageSetupError(
        f"the table {table} has no column identity: it is that of @mcp-ts/client (2 to 4), and this store can share "
        "that of @mcp-ts/sdk 1.6 only. Create a separate table with "
        f"`mcp-storage supabase-init --table {SUGGESTED}`, and pass table={SUGGESTED!r} to SupabaseStorageBackend"
    )
