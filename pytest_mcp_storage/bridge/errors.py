"""Errors of the bridge, and errors of the backend behind it."""

from __future__ import annotations

from pytest_mcp_storage.spec.harness import HarnessFault, NotMeasurable
from reference_backends.core import errors

TYPED: dict[str, type[errors.StorageError]] = {
    kind.__name__: kind
    for kind in (
        errors.StorageError,
        errors.InvalidSessionError,
        errors.SessionExistsError,
        errors.SessionNotFoundError,
        errors.DecryptionError,
        errors.StorageUnavailableError,
        errors.StorageSetupError,
        errors.ConfigurationError,
    )
}
"""The errors that a backend may name in an answer; any other is a :class:`ForeignError`."""

DECLINED = "Declined"
"""The error type of a call that a bridge can't do: the clause is then not measured."""


class BridgeFault(HarnessFault):
    """The bridge program hung, died or violated the protocol. That says nothing about the backend behind it."""


class ForeignError(Exception):
    """The backend raised an error that is not in :mod:`reference_backends.core.errors`. The text is the backend's."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class ForeignAnswerError(Exception):
    """The backend returned a value that no call of ``StorageBackend`` returns. The message contains no value."""


def error_of(error: object) -> Exception | None:
    """Return the exception for an error in an answer; ``None`` if it is not well-formed."""
    match error:
        case {"type": str(kind), "message": str(message), **rest} if set(rest) <= {"sessionId"}:
            session_id = rest.get("sessionId")
            if session_id is not None and not isinstance(session_id, str):
                return None
            if kind == DECLINED:
                return NotMeasurable(message)
            if kind == "DecryptionError":
                return errors.DecryptionError(message, session_id=session_id)
            return TYPED[kind](message) if kind in TYPED else ForeignError(kind, message)
    return None
