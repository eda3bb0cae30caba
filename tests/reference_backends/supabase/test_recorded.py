"""Recorded answers of PostgREST 12 to 16. The native stack has 12.0; no registry has the others.

They are recorded from the source and the tests of PostgREST v12.2.12, v13.0.8, v14.17 and v16.2, with the name of our
table. A server of the test gives these answers. None of those versions was run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from aiohttp import web

from reference_backends import ConfigurationError, StorageError, StorageSetupError, StorageUnavailableError
from tests.reference_backends.supabase.failures import CALLS, answering, backend_at, fails


class Recorded(NamedTuple):
    """An answer, and the error that the store must raise for it."""

    status: int
    body: dict[str, Any]
    error: type[StorageError]
    remedy: str
    proxy_status: str | None = None


def body(code: str, message: str, details: str | None = None, hint: str | None = None) -> dict[str, Any]:
    return {"code": code, "details": details, "hint": hint, "message": message}


def since_13(status: int, code: str, message: str, error: type[StorageError], remedy: str, **more: Any) -> Recorded:
    """Return the headers. Versions since 13 also send their code in the header Proxy-Status."""
    return Recorded(status, body(code, message, **more), error, remedy, f"PostgREST; error={code}")


UNKNOWN_TABLE = "Could not find the table 'public.mcp_sessions' in the schema cache"
UNKNOWN_COLUMN = "Could not find the 'client_id' column of 'mcp_sessions' in the schema cache"
INIT = "mcp-storage supabase-init"

RECORDED = {
    "12, no table": Recorded(
        404, body("42P01", 'relation "public.mcp_sessions" does not exist'), StorageSetupError, INIT
    ),
    "12, no table, a write": Recorded(404, {}, StorageSetupError, INIT),
    "13, no table": since_13(
        404, "PGRST205", UNKNOWN_TABLE, StorageSetupError, INIT, hint="Perhaps you meant the table 'public.sessions'"
    ),
    "14 to 16, no table": since_13(404, "PGRST205", UNKNOWN_TABLE, StorageSetupError, INIT),
    "12 to 16, no column, a read": Recorded(
        400, body("42703", "column mcp_sessions.client_id does not exist"), StorageSetupError, "older version"
    ),
    "12.2, no column, a write": Recorded(400, body("PGRST204", UNKNOWN_COLUMN), StorageSetupError, "older version"),
    "13 to 16, no column, a write": since_13(400, "PGRST204", UNKNOWN_COLUMN, StorageSetupError, "older version"),
    "12, expired": Recorded(401, body("PGRST301", "JWT expired"), ConfigurationError, "it is expired"),
    "12, wrong signature": Recorded(
        401, body("PGRST301", "JWSError JWSInvalidSignature"), ConfigurationError, "not signed by this project"
    ),
    "13 to 16, expired": since_13(401, "PGRST303", "JWT expired", ConfigurationError, "it is expired"),
    "13 to 16, in the future": since_13(401, "PGRST303", "JWT issued at future", ConfigurationError, "clock skew"),
    "13 to 16, another key": since_13(
        401,
        "PGRST301",
        "No suitable key or wrong key type",
        ConfigurationError,
        "not signed by this project",
    ),
    "12 to 16, no secret": Recorded(500, body("PGRST300", "Server lacks JWT secret"), StorageSetupError, "JWT secret"),
    "12 to 16, no anonymous role": Recorded(
        401, body("PGRST302", "Anonymous access is disabled"), ConfigurationError, "allows no anonymous requests"
    ),
    "12 to 16, no right, without a login": Recorded(
        401, body("42501", "permission denied for table mcp_sessions"), StorageSetupError, "to service_role;"
    ),
    "13 to 16, no right": since_13(
        403, "42501", "permission denied for table mcp_sessions", StorageSetupError, "to service_role;"
    ),
    "12, a role that is not there": Recorded(
        400, body("22023", 'role "service_role" does not exist'), StorageSetupError, "no role"
    ),
    "13 to 16, a role that is not there": since_13(
        401, "22023", 'role "service_role" does not exist', StorageSetupError, "no role"
    ),
    "12 to 16, no schema cache": Recorded(
        503,
        body("PGRST002", "Could not query the database for the schema cache. Retrying."),
        StorageUnavailableError,
        "try again",
    ),
    "12 to 16, no connection": Recorded(
        504,
        body("PGRST003", "Timed out acquiring connection from connection pool."),
        StorageUnavailableError,
        "try again",
    ),
    "12 to 16, a count that takes too long": Recorded(
        500, body("57014", "canceling statement due to statement timeout"), StorageUnavailableError, "try again"
    ),
    "12 to 16, a range beyond the count": Recorded(
        416,
        body("PGRST103", "Requested range not satisfiable", "An offset of 1 was requested, but there are only 0 rows."),
        StorageError,
        "PGRST103",
    ),
    "13 to 16, a path that is none": since_13(
        404, "PGRST125", "Invalid path specified in request URL", StorageSetupError, "check SUPABASE_URL"
    ),
}


@pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED)
async def test_a_recorded_refusal(recorded: Recorded) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        headers = {"Proxy-Status": recorded.proxy_status} if recorded.proxy_status else {}
        return web.json_response(recorded.body, status=recorded.status, headers=headers)

    async with answering(answer) as url, backend_at(url, "sb_secret_key") as backend:
        for name in ("init", "create", "update", "get", "list", "all ids", "remove", "clear"):
            kind, remedy = recorded.error, recorded.remedy
            if name == "init" and remedy == "older version":  # every column is missing, as in a foreign table
                remedy = "@mcp-ts/client"
            await fails(CALLS[name], backend, kind, remedy)


@pytest.mark.parametrize(
    ("status", "extent", "rows", "asked"),
    [(200, "0-1/2", 2, 1), (206, "0-1/5", 2, 2), (200, "0-1/*", 2, 2), (200, "*/0", 0, 1)],
    ids=["complete", "cut", "no count", "none"],
)
async def test_a_recorded_count(status: int, extent: str, rows: int, asked: int) -> None:
    """PostgREST 12 to 16 answer 206 if there are more rows, and give no count if ``count=exact`` did not arrive."""
    requests = 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        assert "count=exact" in request.headers.get("Prefer", "") or requests > 1
        page = [{"session_id": f"s{number}"} for number in range(rows)] if requests == 1 else []
        return web.json_response(page, status=status, headers={"Content-Range": extent})

    async with answering(answer) as url, backend_at(url, "sb_secret_key") as backend:
        assert len(await backend.get_identity_mcp_sessions("alice")) == rows
    assert requests == asked
