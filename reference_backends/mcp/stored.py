"""How tokens and client information are stored, and which of them are still valid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import BaseModel, ValidationError
from pydantic_core import Url

from reference_backends.core.errors import StorageError
from reference_backends.core.validation import LONGEST_TTL

Model = TypeVar("Model", bound=BaseModel)

EXPIRES_AT = "expires_at"
"""Stored with the tokens: seconds since the epoch. ``expires_in`` alone says nothing once it has been stored."""

REFRESH_EXPIRES_AT = "refresh_expires_at"
"""The same for the refresh token, if the server said how long it lasts."""

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def tokens_to_store(tokens: OAuthToken, now: float, refresh_lasts: float | None = None) -> dict[str, Any]:
    """Return the JSON object that is stored for these tokens, which were issued at ``now``."""
    kept = tokens.model_dump(mode="json", exclude_none=True)
    if tokens.expires_in is not None:
        # Some servers mean "never" by a number that no store keeps.
        kept["expires_in"] = lasts = max(-LONGEST_TTL, min(tokens.expires_in, LONGEST_TTL))
        kept[EXPIRES_AT] = now + lasts
    if refresh_lasts is not None:
        kept[REFRESH_EXPIRES_AT] = now + max(0, min(refresh_lasts, LONGEST_TTL))
    return kept


def seconds_left(stored: Mapping[str, Any], now: float, field: str = EXPIRES_AT) -> float:
    """Return how many seconds a token lasts from ``now``: infinity if its expiry is not known."""
    end = stored.get(field)
    return end - now if isinstance(end, (int, float)) and not isinstance(end, bool) else math.inf


def stored_tokens(stored: Mapping[str, Any], now: float) -> OAuthToken:
    """Return the tokens with ``expires_in`` counted from ``now``, without a refresh token that has expired."""
    tokens = parsed(OAuthToken, stored, "tokens")
    changes: dict[str, Any] = {}
    if (left := seconds_left(stored, now)) < math.inf:
        changes["expires_in"] = max(0, math.floor(left))
    if seconds_left(stored, now, REFRESH_EXPIRES_AT) <= 0:
        changes["refresh_token"] = None
    return tokens.model_copy(update=changes)


def stored_client(stored: Mapping[str, Any]) -> OAuthClientInformationFull:
    """Return the client information."""
    return parsed(OAuthClientInformationFull, stored, "client information")


def secret_has_expired(client: OAuthClientInformationFull, now: float) -> bool:
    """Return whether the client needs its secret and the secret has expired; 0 means that it never expires."""
    if not client.client_secret or client.token_endpoint_auth_method == "none":  # noqa: S105 - a method's name
        return False
    return 0 < (client.client_secret_expires_at or 0) <= now


def accepts_redirect(client: OAuthClientInformationFull, redirect_uri: str, *, any_port: bool) -> bool:
    """Return whether the client was registered for this redirect URI, or its redirect URIs are not known.

    A loopback address that was registered without a port is valid for every port (RFC 8252, section 7.3); with
    ``any_port`` also one that was registered with another port.
    """
    registered = [str(each) for each in client.redirect_uris or []]
    return not registered or any(_same_redirect(each, redirect_uri, any_port) for each in registered)


def parsed(model: type[Model], stored: Mapping[str, Any], what: str) -> Model:
    """Return the stored object as the SDK's model. Raise :class:`StorageError`, which shows no stored value."""
    try:
        return model.model_validate(dict(stored))
    except ValidationError:
        pass  # the error shows the stored values
    raise StorageError(f"the stored {what} do not have the form that the mcp package expects; sign in again")


def _same_redirect(registered: str, wanted: str, any_port: bool) -> bool:
    try:
        one, other = Url(registered), Url(wanted)
    except ValueError:
        return registered == wanted
    if one.scheme == "http" and one.host in _LOOPBACK and (any_port or one.port in (None, 80)):
        return (one.scheme, one.host, one.path, one.query) == (other.scheme, other.host, other.path, other.query)
    return str(one) == str(other)
