"""Who is to blame: the bridge, or the backend behind it."""

from __future__ import annotations

from pytest_mcp_storage.spec.harness import HarnessFault
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
