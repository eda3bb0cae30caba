"""Why a server cannot be reached: read from the exceptions, so that the message need not repeat their text."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def obstacle(error: BaseException) -> str:
    """Return the reason, to be put after the name of the server; empty if the error shows none."""
    for behind in _causes(error):
        if reason := _reason(behind):
            return f": {reason}"
    return ""


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"this machine does not trust its certificate{_trusted()}"
    if isinstance(error, ssl.SSLError):
        return "TLS with it fails (is it a plain http or redis port?)"
    if isinstance(error, socket.gaierror):
        return "no address is known for its name"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return "this machine has no network route to it"
    return ""


def _trusted() -> str:
    """Name the variable that decides which certificates OpenSSL trusts, if one is set."""
    variable = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
    return f" ({variable} is set, and names the authorities that are trusted)" if variable else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    behind: BaseException | None = error
    while behind is not None:
        yield behind
        behind = behind.__cause__ or (behind.__context__ if _is_of_connecting(behind) else None)


def _is_of_connecting(error: BaseException) -> bool:
    """Report whether an error of redis-py, httpx or httpcore has the obstacle as its context, and not as its cause.

    The context of another error may be anything that the caller is handling.
    """
    return type(error).__name__ == "ConnectError" or " connecting to " in str(error)
