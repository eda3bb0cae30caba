"""What the calls of a store may be given. Everything is checked before anything is stored (LC-7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_backends.core import bounds
from reference_backends.core.errors import InvalidSessionError
from reference_backends.core.session import FIELDS, IDENTIFYING, SessionData, unknown_field

LONGEST_TTL = 3_155_760_000
"""A hundred years, in seconds (EX-8)."""

_SAMPLE = {
    "session_id": "s",
    "identity": "i",
    "server_url": "",
    "transport_type": "sse",
    "callback_url": "",
    "created_at": 0,
}


def check_identity(identity: object) -> str:
    """The identity, 1 to 255 characters. Raises :class:`InvalidSessionError` (LC-9)."""
    return _name("identity", identity)


def check_names(identity: object, session_id: object) -> tuple[str, str]:
    """The identity and the session id. Raises :class:`InvalidSessionError` (LC-9)."""
    return _name("identity", identity), _name("session_id", session_id)


def check_ttl(ttl: object) -> float:
    """Seconds, finite, above 0 and at most a hundred years. Raises :class:`InvalidSessionError` (EX-8)."""
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise InvalidSessionError("ttl must be a number of seconds")
    if not 0 < ttl <= LONGEST_TTL:
        raise InvalidSessionError(f"ttl must be above 0 and at most {LONGEST_TTL} seconds (100 years)")
    return float(ttl)


def check_session(session: object) -> SessionData:
    """A copy of the session, validated anew: its objects may have been changed since it was built."""
    if not isinstance(session, SessionData):
        raise InvalidSessionError("create_session takes a SessionData; build one with SessionData(...)")
    return SessionData.model_validate(session.__dict__)


def check_changes(changes: object) -> dict[str, Any]:
    """The named fields with their values, validated and copied. Raises :class:`InvalidSessionError` (LC-4, LC-6)."""
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
