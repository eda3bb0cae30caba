"""What stood in the way of a connection, read off the exceptions: whoever mends it sees none of them."""

from __future__ import annotations

import socket
import ssl

_OBSTACLES: tuple[tuple[type[OSError], str], ...] = (
    (ssl.SSLCertVerificationError, "this machine does not trust its certificate"),
    (socket.gaierror, "no address is known for its name"),
    (ConnectionRefusedError, "nothing listens there"),
)


def obstacle(error: BaseException) -> str:
    """In words to be put after what can't be reached; empty where the error tells none of those."""
    behind: BaseException | None = error
    while behind is not None:
        for kind, words in _OBSTACLES:
            if isinstance(behind, kind):
                return f": {words}"
        behind = behind.__cause__ or (behind.__context__ if _is_of_connecting(behind) else None)
    return ""


def _is_of_connecting(error: BaseException) -> bool:
    """Whether an error of redis-py's, httpx's or httpcore's has the obstacle as its context, and names it no cause.

    Another one's context may be whatever the caller is handling just now.
    """
    return type(error).__name__ == "ConnectError" or " connecting to " in str(error)
