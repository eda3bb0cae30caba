"""Errors of a request to Supabase as errors of the library that say what to do.

No message repeats the text of an error of httpx: it may show the request with its headers.
"""

from __future__ import annotations

import httpx
from postgrest.exceptions import APIError

from reference_backends.core.connect_errors import connect_problem
from reference_backends.core.errors import ConfigurationError, StorageError, StorageUnavailableError
from reference_backends.supabase.refusals import UNKNOWN, Caller, not_postgrest, refusal_in, refused

FAULTS = (APIError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError, OSError, RuntimeError)
"""The errors that a request may raise."""


def typed_error(fault: BaseException, caller: Caller = UNKNOWN) -> StorageError:
    """Return the error for one of :data:`FAULTS`. Raise it outside the ``except`` block, so that it has no context."""
    if isinstance(fault, APIError):
        return _of_api_error(fault, caller)
    if isinstance(fault, httpx.ProxyError):
        return _of_proxy(str(fault), caller.proxy or "HTTPS_PROXY")
    if isinstance(fault, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return ConfigurationError("the Supabase URL is not valid; it looks like https://<project>.supabase.co")
    if isinstance(fault, httpx.LocalProtocolError):
        return ConfigurationError("the Supabase key cannot be sent as a header; copy it again, without line breaks")
    if isinstance(fault, (httpx.TooManyRedirects, httpx.DecodingError)):
        return not_postgrest()
    if isinstance(fault, httpx.TimeoutException | TimeoutError):
        return StorageUnavailableError("Supabase did not answer in time; a write may or may not have been done")
    if isinstance(fault, RuntimeError):
        return StorageError(
            "this Supabase client is closed, or belongs to another event loop; "
            "make a client in the loop that uses it, or use reference_backends.storage"
        )
    if isinstance(fault, httpx.TransportError) and not isinstance(fault, httpx.ConnectError):
        return StorageUnavailableError("the connection to Supabase broke; a write may or may not have been done")
    settings = f"the proxy in {caller.proxy}, SUPABASE_URL" if caller.proxy else "SUPABASE_URL"
    return StorageUnavailableError(
        f"Supabase cannot be reached{connect_problem(fault)}; check {settings}, the network and the project"
    )


def _of_proxy(text: str, variable: str) -> StorageError:
    if text.startswith("407"):
        return ConfigurationError(f"the proxy asks for a login: put user name and password into {variable}")
    return StorageUnavailableError(f"the proxy in {variable} does not connect to Supabase; check both, and NO_PROXY")


def _of_api_error(fault: APIError, caller: Caller) -> StorageError:
    """Return the error for a response as supabase-py reports it. It has the HTTP status only if it has no code."""
    code = str(fault.code or "")
    status = int(code) if code.isdecimal() and len(code) == 3 else None
    return refused(refusal_in(status, {"code": code, "message": fault.message}), caller)
