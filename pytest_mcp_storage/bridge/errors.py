"""Who is to blame: the bridge, or the backend behind it."""

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
"""The errors that a backend may name on the wire; any other is a :class:`ForeignError`."""

DECLINED = "Declined"
"""The error type by which a bridge says that it can't do this: the clause is then not measured."""


class BridgeFault(HarnessFault):
    """The bridge program hung, died or broke the protocol. It says nothing about the backend behind it."""


class ForeignError(Exception):
    """The backend raised an error that is none of :mod:`reference_backends.core.errors`; the text is its own."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class ForeignAnswerError(Exception):
    """The backend returned what no call of ``StorageBackend`` returns. Shows no value of it."""


def error_of(error: object) -> Exception | None:
    """Return the exception that an error on the wire stands for; ``None`` if it is not well-formed."""
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
