"""What PostgREST, PostgreSQL and the network answer, as typed errors that say what to do.

Nothing of a server's text is repeated: PostgreSQL's details show the failing row, and httpx's errors carry the
request with its headers. The code alone names the fault.
"""

from __future__ import annotations

import re

import httpx
from postgrest.exceptions import APIError

from reference_backends.errors import (
    ConfigurationError,
    InvalidSessionError,
    SessionExistsError,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)
from reference_backends.obstacles import obstacle

MIGRATE = "run `mcp-storage supabase-init`, then `supabase db push`"
FAULTS = (APIError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError, OSError, RuntimeError)
"""What a request may raise."""

_NO_TABLE = {"42P01", "PGRST205"}
_NO_COLUMN = {"42703", "PGRST204"}
_NOT_EXPOSED = {"3F000", "PGRST106"}
_BAD_TOKEN = {"PGRST300", "PGRST301", "PGRST302", "PGRST303", "401"}
_FORBIDDEN = {"42501", "403"}
_TOO_LARGE = {"413", "54000"}
_READ_ONLY = {"25006"}
# Connection trouble (08), resources (53), interventions (57), conflicts that a new attempt resolves (40), PostgREST's
# own connection faults, overload, and every 5xx of a gateway.
_UNAVAILABLE = re.compile(r"08...|53...|57...|40...|PGRST00.|429|5\d\d")


def typed_error(fault: BaseException) -> StorageError:
    """The error to raise for a fault of :data:`FAULTS`; raise it outside the handler, so that it has no context."""
    if isinstance(fault, APIError):
        return _of_answer(fault.code and str(fault.code), (fault.message or "").lower())
    if isinstance(fault, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return ConfigurationError("the Supabase URL is not valid; it looks like https://<project>.supabase.co")
    if isinstance(fault, httpx.LocalProtocolError):
        return ConfigurationError("the Supabase key cannot be sent as a header; copy it again, without line breaks")
    if isinstance(fault, httpx.TimeoutException | TimeoutError):
        return StorageUnavailableError("Supabase did not answer in time; the call may or may not have been done")
    if isinstance(fault, RuntimeError):
        return StorageError(
            "this Supabase client is closed, or belongs to another event loop; "
            "make a client in the loop that uses it, or use reference_backends.storage"
        )
    if isinstance(fault, httpx.TransportError) and not isinstance(fault, (httpx.ConnectError, httpx.ProxyError)):
        return StorageUnavailableError("the connection to Supabase broke; the call may or may not have been done")
    return StorageUnavailableError(
        f"Supabase cannot be reached{obstacle(fault)}; check SUPABASE_URL, the network and the project"
    )


def not_postgrest() -> StorageError:
    """For an answer that PostgREST does not give to such a request: a web page, or a redirection followed."""
    return StorageSetupError(
        "what answers at the Supabase URL is not its REST API; check SUPABASE_URL (https, no path after the host)"
    )


def _of_answer(code: str | None, message: str) -> StorageError:
    if code in _NO_TABLE:
        return StorageSetupError(f"there is no table mcp_sessions in this project; {MIGRATE}")
    if code in _NO_COLUMN:
        return StorageSetupError(f"the table mcp_sessions is of an older version; {MIGRATE}")
    if code in _NOT_EXPOSED:
        return StorageSetupError("the schema of mcp_sessions is not exposed; add it under API settings in Supabase")
    if code in _BAD_TOKEN or (code is None and "api key" in message):
        return ConfigurationError(
            "Supabase refuses this key or login: it is expired or of another project; set SUPABASE_SERVICE_ROLE_KEY "
            "from Project Settings > API, or sign in anew"
        )
    if code in _FORBIDDEN:
        return StorageError(
            "Supabase permits this only to the session's own user or to the service role; "
            "use the service role key, or a client signed in as the identity"
        )
    if code == "404" or (code is None and (not message or "no route" in message)):
        # So do PostgREST (to a POST, in some versions) and the gateway answer where there is nothing.
        return StorageSetupError(
            f"no table mcp_sessions is served at the Supabase URL; check SUPABASE_URL, or {MIGRATE}"
        )
    if code is not None and re.fullmatch(r"3\d\d", code):
        return not_postgrest()
    if code is None:
        return StorageUnavailableError("the gateway of this Supabase project cannot reach its database now; try again")
    if code == "23505":
        return SessionExistsError("this session id is taken")
    if code in _TOO_LARGE:
        return StorageError(f"the session is larger than this Supabase project takes (code {code})")
    if code in _READ_ONLY:
        return StorageUnavailableError("the Supabase database is in read-only mode; free disk space in its dashboard")
    if _UNAVAILABLE.fullmatch(code):
        return StorageUnavailableError(f"Supabase cannot serve this now (code {code}); try again")
    if code.startswith("22"):
        return InvalidSessionError(f"the database refuses a value of this session (code {code})")
    return StorageError(f"Supabase refused the request (code {code})")
