"""Checks of the arguments of a store's calls. A store runs them before it stores anything (LC-7).

Authors of stores import them from ``reference_backends``. Each check returns a clean copy of what it was given and
raises :class:`InvalidSessionError`, whose message shows no value, for anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_backends.core import bounds
from reference_backends.core.errors import InvalidSessionError
from reference_backends.core.session import FIELDS, IDENTIFYING, SessionData, unknown_field

LONGEST_TTL = 3_155_760_000
"""The longest TTL, in seconds: 100 years (EX-8)."""

_SAMPLE = {
    "session_id": "s",
    "identity": "i",
    "server_url": "",
    "transport_type": "sse",
    "callback_url": "",
    "created_at": 0,
}


def check_identity(identity: object) -> str:
    """Return the identity: text of 1 to 255 characters. Raise :class:`InvalidSessionError` (LC-9)."""
    return _name("identity", identity)


def check_names(identity: object, session_id: object) -> tuple[str, str]:
    """Return identity and session id, each text of 1 to 255 characters. Raise :class:`InvalidSessionError` (LC-9)."""
    return _name("identity", identity), _name("session_id", session_id)


def check_ttl(ttl: object) -> float:
    """Return the TTL in seconds: finite, above 0, at most 100 years. Raise :class:`InvalidSessionError` (EX-8)."""
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise InvalidSessionError("ttl must be a number of seconds")
    if not 0 < ttl <= LONGEST_TTL:
        raise InvalidSessionError(f"ttl must be above 0 and at most {LONGEST_TTL} seconds (100 years)")
    return float(ttl)


def check_session(session: object) -> SessionData:
    """Return a copy of the session, validated again: its objects may have been changed since it was built.

    Raise :class:`InvalidSessionError` if it is not a :class:`SessionData`, or not valid any more (LC-7).
    """
    if not isinstance(session, SessionData):
        raise InvalidSessionError("create_session takes a SessionData; build one with SessionData(...)")
    return SessionData.model_validate(session.__dict__)


def check_changes(changes: object) -> dict[str, Any]:
    """Return the fields to change with their values, validated and copied; ``None`` removes a field.

    Raise :class:`InvalidSessionError` for unknown fields, for values that are not valid, and for ``session_id`` and
    ``identity``, which never change (LC-4, LC-6).
    """
    if not isinstance(changes, Mapping):
        raise InvalidSessionError("changes must be a mapping of field names to values")
    for field in changes:
        if field not in FIELDS:
            raise InvalidSessionError(f"changes name {unknown_field(field)}")
        if field in IDENTIFYING:
            raise InvalidSessionError(f"{field} never changes; create a new session instead")
    if not changes:
        return {}
    validated = SessionData.model_validate({**_SAMPLE, **changes})
    return {field: getattr(validated, field) for field in changes}


def _name(field: str, value: object) -> str:
    try:
        return bounds.name(value)
    except ValueError as error:
        reason = str(error)
    raise InvalidSessionError(f"{field} {reason}")
