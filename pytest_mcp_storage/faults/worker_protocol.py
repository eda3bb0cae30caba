"""What a worker and its parent send to each other: calls and their outcomes, as JSON.

Sessions are objects of snake_case fields, errors their type's name and their message.
"""

from __future__ import annotations

from typing import Any

from reference_backends import SessionData, StorageError
from reference_backends.core import errors

LONGEST_LINE = 1 << 28
"""Bytes; an order holds a whole plan."""

WITH_SESSION = "create_session"
GIVES_SESSION = "get_session"
GIVES_SESSIONS = "get_identity_sessions_data"


class WorkerCallError(Exception):
    """A call in a worker raised something that is no :class:`StorageError`; the text is its type and message."""


def arguments_to_json(method: str, arguments: tuple[Any, ...]) -> list[Any]:
    """Return a call's positional arguments as JSON."""
    return [_session_to_json(arguments[0])] if method == WITH_SESSION else list(arguments)


def arguments_from_json(method: str, arguments: list[Any]) -> tuple[Any, ...]:
    """Return the positional arguments of a call from JSON."""
    return (SessionData.model_validate(arguments[0]),) if method == WITH_SESSION else tuple(arguments)


def outcome_to_json(result: object) -> dict[str, Any]:
    """Return what a call returned, or the exception that it raised, as JSON."""
    if isinstance(result, Exception):
        return {"error": type(result).__name__, "message": str(result)}
    if isinstance(result, list):
        return {"result": [_session_to_json(item) for item in result]}
    return {"result": _session_to_json(result)}


def outcome_from_json(method: str, outcome: dict[str, Any]) -> object:
    """Return the outcome of a call from JSON. An error keeps its type if it is one of the contract's."""
    if "error" in outcome:
        kind = getattr(errors, outcome["error"], None)
        if isinstance(kind, type) and issubclass(kind, StorageError):
            return kind(outcome["message"])
        return WorkerCallError(f"{outcome['error']}: {outcome['message']}")
    result = outcome["result"]
    if method == GIVES_SESSION and isinstance(result, dict):
        return SessionData.model_validate(result)
    if method == GIVES_SESSIONS and isinstance(result, list):
        return [SessionData.model_validate(item) if isinstance(item, dict) else item for item in result]
    return result


def _session_to_json(value: Any) -> Any:
    """Return a session as an object, text and ``None`` as they are; of anything else the type."""
    if isinstance(value, SessionData):
        return {field: part for field, part in value.model_dump().items() if part is not None}
    return value if value is None or isinstance(value, str) else f"<{type(value).__name__}>"
