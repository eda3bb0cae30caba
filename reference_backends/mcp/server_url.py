"""One spelling for each server URL, so that every process finds the same session."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from pydantic_core import Url

_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


def canonical(url: str) -> str:
    """Return the URL in its normal form. Return a text that is not an absolute URL unchanged.

    As the SDK and RFC 8707 do: scheme and host in lower case, no fragment. As RFC 3986, section 6.2, does: no default
    port, no dot segments, escapes in capitals, none for unreserved characters. As the MCP specification advises: no
    slash at the end. User name, password and query stay, since they may choose another server or tenant.
    """
    parts = _parts(url)
    if parts is None:
        return url
    path = _ESCAPE.sub(_plain_escape, parts.path).rstrip("/")
    return parts._replace(path=path, query=_ESCAPE.sub(_plain_escape, parts.query), fragment="").geturl()


def origin(url: str) -> str:
    """Return scheme, host and port: the part that decides which server receives a request."""
    parts = _parts(url)
    return url if parts is None else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(str(Url(url)))
    except ValueError:
        return None
    return parts if parts.netloc else None


def _plain_escape(found: re.Match[str]) -> str:
    character = chr(int(found[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else found[0].upper()
