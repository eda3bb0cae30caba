"""Why a server cannot be reached: found in the exceptions, so that no message repeats their text."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def connect_problem(error: BaseException) -> str:
    """Return the reason, to be appended to the name of the server; empty if the error shows none."""
    for cause in _causes(error):
        if reason := _reason(cause):
            return f": {reason}"
    return ""


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"this machine does not trust its certificate{_trusted()}"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake with it fails (is it a plain http or redis port?)"
    if isinstance(error, socket.gaierror):
        return "its host name has no address"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return "this machine has no network route to it"
    return ""


def _trusted() -> str:
    """Return the name of the variable that decides which certificates OpenSSL trusts, if one is set."""
    variable = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
    return f" ({variable} is set: it lists the trusted authorities)" if variable else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (cause.__context__ if _is_of_connecting(cause) else None)


def _is_of_connecting(error: BaseException) -> bool:
    """Return whether this is an error of redis-py, httpx or httpcore that has the reason as its context, not its cause.

    The context of any other error may be an exception that the caller is handling.
    """
    return type(error).__name__ == "ConnectError" or " connecting to " in str(error)
