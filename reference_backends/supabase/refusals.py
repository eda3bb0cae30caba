"""Error responses of PostgREST, PostgreSQL and the gateways in front of them, as errors that say what to do.

The code of PostgREST or PostgreSQL decides. A response without a code is from a gateway; then its HTTP status decides.
No message repeats the text of a server: PostgreSQL's details show the failing row.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from reference_backends.core.errors import (
    ConfigurationError,
    InvalidSessionError,
    SessionExistsError,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)
from reference_backends.supabase.grants import forbidden
from reference_backends.supabase.push import migrate
from reference_backends.supabase.tokens import TOKEN_CODES, refused_token

if TYPE_CHECKING:
    import httpx

_CODE = re.compile(r"PGRST\w+|[0-9A-Z]{5}")
_PROXY_STATUS = re.compile(r'postgrest\s*;\s*error\s*=\s*"?(\w+)', re.IGNORECASE)
_MESSAGES = ("message", "msg", "error_description", "error")

NO_TABLE = {"42P01", "PGRST205"}
NO_COLUMN = {"42703", "PGRST204"}
_NOT_EXPOSED = {"3F000", "PGRST106"}
# Connection trouble (08), resources (53), interventions (57), conflicts that a new attempt resolves (40), and
# PostgREST's own connection faults.
_UNAVAILABLE = re.compile(r"08...|53...|57...|40...|PGRST00.")
_TOO_LARGE = {413, 414, 431}
_WAIT = {408, 425, 429}


class Caller(NamedTuple):
    """Who sent a request, and to which table. The advice of an error depends on it."""

    role: str | None = None
    """The database role; ``None`` if it is not known."""
    table: str = "mcp_sessions"
    in_use: bool = False
    """Whether the store took these credentials before."""
    proxy: str | None = None
    """The name of the variable whose proxy the request took, if any."""


UNKNOWN = Caller()


class Refusal(NamedTuple):
    """An error response: its HTTP status, the code of PostgREST or PostgreSQL, and its message in lower case."""

    status: int | None
    code: str
    message: str


def refusal_of(response: httpx.Response) -> Refusal:
    """Return the refusal in an error response."""
    try:
        body: Any = json.loads(response.content)
    except (ValueError, RecursionError):
        body = None
    refusal = refusal_in(response.status_code, body if isinstance(body, dict) else {})
    if refusal.code:
        return refusal
    stated = _PROXY_STATUS.search(response.headers.get("Proxy-Status", ""))
    return refusal._replace(code=stated[1]) if stated else refusal


def refusal_in(status: int | None, body: dict[str, Any]) -> Refusal:
    """Return the refusal in the body of an error response. The codes of gateways (numbers, words) are ignored."""
    code = body.get("code")
    message = next((body[key] for key in _MESSAGES if isinstance(body.get(key), str)), "")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        code = ""
    return Refusal(status, code, message.lower())


def not_postgrest() -> StorageError:
    """Return the error for a response that is not PostgREST's: a web page, or a redirect that was followed."""
    return StorageSetupError(
        "the server at the Supabase URL is not its REST API; check SUPABASE_URL (https, no path after the host)"
    )


def refused(refusal: Refusal, caller: Caller = UNKNOWN) -> StorageError:
    """Return the error for a refusal."""
    if refusal.code:
        return _by_code(refusal, caller)
    return _by_status(refusal, caller)


def _by_code(refusal: Refusal, caller: Caller) -> StorageError:
    code, message, table = refusal.code, refusal.message, caller.table
    if code in NO_TABLE:
        return StorageSetupError(f"there is no table {table} in this project; {migrate(table)}")
    if code in NO_COLUMN:
        return StorageSetupError(f"the table {table} is of an older version; {migrate(table)}")
    if code in _NOT_EXPOSED:
        return StorageSetupError(f"the schema of {table} is not exposed; add it under API settings in Supabase")
    if code in TOKEN_CODES:
        return refused_token(code, message, caller.in_use)
    if code == "42501":
        return forbidden(message, caller.role, table)
    if code == "22023" and message.startswith("role ") and message.endswith("does not exist"):
        return StorageSetupError(
            f"the database has no role {caller.role or 'of the name that the token claims'}: "
            "use a key of this project, or create that role"
        )
    if code == "PGRST125":  # the path is not that of a table
        return not_postgrest()
    if code == "23505":
        return SessionExistsError("this session id is taken")
    if code == "54000":
        return StorageError(f"the session is larger than this Supabase project accepts (code {code})")
    if code == "25006":
        return StorageUnavailableError("the Supabase database is in read-only mode; free disk space in its dashboard")
    if _UNAVAILABLE.fullmatch(code):
        return StorageUnavailableError(f"Supabase cannot answer now (code {code}); try again")
    if code.startswith("22"):
        return InvalidSessionError(f"the database refuses a value of this session (code {code})")
    return StorageError(f"Supabase refused the request (code {code})")


def _by_status(refusal: Refusal, caller: Caller) -> StorageError:
    status = refusal.status
    if status is None or status == 404:
        # PostgREST up to 12 (to a POST) and the gateways answer so if there is no such path.
        return StorageSetupError(
            f"no table {caller.table} is served at the Supabase URL; check SUPABASE_URL, or {migrate(caller.table)}"
        )
    if 200 <= status < 400:
        return not_postgrest()
    if status == 401:
        return refused_token("", refusal.message, caller.in_use)
    if status == 402:
        return StorageSetupError(
            "Supabase has restricted this project (HTTP 402): its quota is used up or a bill is open; "
            "see Billing in its dashboard"
        )
    if status == 403:
        return ConfigurationError(
            "the gateway in front of this Supabase project forbids the request (HTTP 403): use the service role key "
            "if the key has no access, and check the gateway's allow list and firewall rules"
        )
    if status == 405:
        return StorageSetupError(
            "the gateway in front of this Supabase project does not allow every method (HTTP 405): "
            "allow GET, POST, PATCH and DELETE, and check SUPABASE_URL"
        )
    if status == 407:
        return ConfigurationError(
            "the proxy asks for a login (HTTP 407): put user name and password into the variable that names the proxy"
        )
    if status in _TOO_LARGE:
        return StorageError(f"the session is larger than this Supabase project accepts (HTTP {status})")
    if status == 540:
        return StorageUnavailableError("this Supabase project is paused; restore it in its dashboard, then try again")
    if status >= 500 or status in _WAIT:
        return StorageUnavailableError(f"Supabase cannot answer now (HTTP {status}); try again")
    return StorageError(
        f"the gateway in front of this Supabase project refused the request (HTTP {status}); check SUPABASE_URL "
        "and the gateway's log"
    )
