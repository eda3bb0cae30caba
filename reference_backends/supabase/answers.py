"""What PostgREST, PostgreSQL and the gateways in front of them refuse with, as typed errors that say what to do.

The code of PostgREST or PostgreSQL decides; an answer that has none is a gateway's, and its HTTP status decides.
A server's text is read and never repeated: PostgreSQL's details show the failing row.
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

if TYPE_CHECKING:
    import httpx

MIGRATE = "run `mcp-storage supabase-init`, then `supabase db push`"

_CODE = re.compile(r"PGRST\w+|[0-9A-Z]{5}")
_PROXY_STATUS = re.compile(r'postgrest\s*;\s*error\s*=\s*"?(\w+)', re.IGNORECASE)
_MESSAGES = ("message", "msg", "error_description", "error")

_NO_TABLE = {"42P01", "PGRST205"}
_NO_COLUMN = {"42703", "PGRST204"}
_NOT_EXPOSED = {"3F000", "PGRST106"}
_BAD_TOKEN = {"PGRST300", "PGRST301", "PGRST302", "PGRST303"}
# Connection trouble (08), resources (53), interventions (57), conflicts that a new attempt resolves (40), and
# PostgREST's own connection faults.
_UNAVAILABLE = re.compile(r"08...|53...|57...|40...|PGRST00.")
_TOO_LARGE = {413, 414, 431}
_WAIT = {408, 425, 429}


class Refusal(NamedTuple):
    """What an answer says: its HTTP status, the code of PostgREST or PostgreSQL, and its message in lower case."""

    status: int | None
    code: str
    message: str


def refusal_of(response: httpx.Response) -> Refusal:
    """Read an answer that is no success."""
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
    """Read the body of such an answer. A gateway's own code, a number or a word, is no code here."""
    code = body.get("code")
    message = next((body[key] for key in _MESSAGES if isinstance(body.get(key), str)), "")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        code = ""
    return Refusal(status, code, message.lower())


def not_postgrest() -> StorageError:
    """Return the error for an answer that PostgREST does not give: a web page, or a redirection that was followed."""
    return StorageSetupError(
        "what answers at the Supabase URL is not its REST API; check SUPABASE_URL (https, no path after the host)"
    )


def refused(refusal: Refusal, role: str | None) -> StorageError:
    """Return the error for a refusal of a request that was sent in a role, as far as that is known."""
    if refusal.code:
        return _by_code(refusal, role)
    return _by_status(refusal.status)


def _by_code(refusal: Refusal, role: str | None) -> StorageError:
    code = refusal.code
    if code in _NO_TABLE:
        return StorageSetupError(f"there is no table mcp_sessions in this project; {MIGRATE}")
    if code in _NO_COLUMN:
        return StorageSetupError(f"the table mcp_sessions is of an older version; {MIGRATE}")
    if code in _NOT_EXPOSED:
        return StorageSetupError("the schema of mcp_sessions is not exposed; add it under API settings in Supabase")
    if code in _BAD_TOKEN:
        return _bad_key()
    if code == "42501":
        return forbidden(refusal.message, role)
    if code == "PGRST125":  # the path is not that of a table
        return not_postgrest()
    if code == "23505":
        return SessionExistsError("this session id is taken")
    if code == "54000":
        return StorageError(f"the session is larger than this Supabase project takes (code {code})")
    if code == "25006":
        return StorageUnavailableError("the Supabase database is in read-only mode; free disk space in its dashboard")
    if _UNAVAILABLE.fullmatch(code):
        return StorageUnavailableError(f"Supabase cannot serve this now (code {code}); try again")
    if code.startswith("22"):
        return InvalidSessionError(f"the database refuses a value of this session (code {code})")
    return StorageError(f"Supabase refused the request (code {code})")


def _by_status(status: int | None) -> StorageError:
    if status is None or status == 404:
        # PostgREST up to 12 (to a POST) and the gateways answer so if there is nothing.
        return StorageSetupError(
            f"no table mcp_sessions is served at the Supabase URL; check SUPABASE_URL, or {MIGRATE}"
        )
    if 200 <= status < 400:
        return not_postgrest()
    if status == 401:
        return _bad_key()
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
            "the gateway in front of this Supabase project lets not every method through (HTTP 405): "
            "allow GET, POST, PATCH and DELETE, and check SUPABASE_URL"
        )
    if status == 407:
        return ConfigurationError(
            "the proxy asks for a login (HTTP 407): put user name and password into the variable that names the proxy"
        )
    if status in _TOO_LARGE:
        return StorageError(f"the session is larger than this Supabase project takes (HTTP {status})")
    if status == 540:
        return StorageUnavailableError("this Supabase project is paused; restore it in its dashboard, then try again")
    if status >= 500 or status in _WAIT:
        return StorageUnavailableError(f"Supabase cannot serve this now (HTTP {status}); try again")
    return StorageError(
        f"the gateway in front of this Supabase project refused the request (HTTP {status}); check SUPABASE_URL "
        "and the gateway's log"
    )


def _bad_key() -> StorageError:
    return ConfigurationError(
        "Supabase refuses this key or login: it is expired or of another project; set SUPABASE_SERVICE_ROLE_KEY "
        "from Project Settings > API, or sign in anew"
    )
