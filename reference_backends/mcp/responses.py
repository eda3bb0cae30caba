"""Answers of authorization servers in the form that the SDK's models accept.

Real servers deviate from RFC 6749 and RFC 7591: ``expires_in`` as text, scopes as a list, form-encoded answers, an
error with status 200. The SDK refuses such an answer completely, and the user can't sign in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from mcp.shared.auth import OAuthClientInformationFull
from pydantic import ValidationError

from reference_backends.core.validation import LONGEST_TTL

REFRESH_LIFETIMES = ("refresh_expires_in", "refresh_token_expires_in")
"""The fields for the lifetime of a refresh token: that of Keycloak, and that of GitHub, Google and Microsoft."""

SECRET_METHODS = ("client_secret_basic", "client_secret_post")


def parse(body: bytes) -> dict[str, Any] | None:
    """Return the object in a JSON or form-encoded body, or ``None``."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        try:
            data = dict(parse_qsl(body.decode(), strict_parsing=True))
        except ValueError:
            return None
    return data if isinstance(data, dict) and data else None


def token_answer(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tokens of an answer as ``OAuthToken`` accepts them.

    A lifetime that is missing, not a number, or not above 0 becomes unknown: such tokens are used until the server
    refuses them. A lifetime of 0 would cause a refresh before each request.
    """
    answer = {name: value for name, value in data.items() if value not in (None, "")}
    lifetime = seconds(answer.pop("expires_in", None))
    if lifetime is not None:
        answer["expires_in"] = max(1, math.floor(lifetime))
    if (scope := _scope(answer.pop("scope", None))) is not None:
        answer["scope"] = scope
    return answer


def refresh_lifetime(data: Mapping[str, Any]) -> float | None:
    """Return how many seconds the refresh token of an answer lasts, or ``None`` if the server did not say it."""
    known = (seconds(data.get(name)) for name in REFRESH_LIFETIMES)
    return next((each for each in known if each is not None), None)


def seconds(value: object) -> float | None:
    """Return a lifetime in seconds, at most a hundred years, or ``None`` if it is unknown."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    except OverflowError:
        number = LONGEST_TTL if isinstance(value, int) and value > 0 else 0
    return min(number, LONGEST_TTL) if number > 0 else None


def registration_answer(
    data: Mapping[str, Any], requested: str | None, supported: Sequence[str] | None
) -> dict[str, Any]:
    """Return a client registration as ``OAuthClientInformationFull`` accepts it.

    Optional fields that the SDK can't read are dropped. ``requested`` is the authentication method that the client
    asked for, and ``supported`` what the server's metadata lists: a client with a secret but without a method gets
    the first of them, or the default of RFC 7591.
    """
    answer = {name: value for name, value in data.items() if value not in (None, "")}
    for name in "client_id", "client_secret":
        if isinstance(answer.get(name), int):
            answer[name] = str(answer[name])
    expires = seconds(answer.pop("client_secret_expires_at", None))
    if expires is not None:
        answer["client_secret_expires_at"] = math.floor(expires)
    if (scope := _scope(answer.pop("scope", None))) is not None:
        answer["scope"] = scope
    for name in _unreadable(answer) - {"client_id", "client_secret"}:
        del answer[name]
    if "client_secret" in answer and "token_endpoint_auth_method" not in answer:
        usable = [each for each in SECRET_METHODS if supported is None or each in supported]
        answer["token_endpoint_auth_method"] = requested or (usable or SECRET_METHODS)[0]
    return answer


def _unreadable(answer: Mapping[str, Any]) -> set[str]:
    try:
        OAuthClientInformationFull.model_validate(dict(answer))
    except ValidationError as error:
        found = {str(each["loc"][0]) for each in error.errors(include_input=False) if each["loc"]}
        return found & answer.keys()
    return set()


def _scope(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value) or None
    return None
