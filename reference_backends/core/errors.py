"""The errors that a store raises. Each message says what to do next. No message shows a secret."""

from __future__ import annotations


class StorageError(Exception):
    """Base of all errors that a session store raises on purpose."""


class InvalidSessionError(StorageError, ValueError):
    """A session, an update, an identity, a session id or a ttl is not valid (EX-8, LC-4, LC-6, LC-9)."""


class SessionExistsError(StorageError):
    """The session to create exists already, or its id is in use (LC-1, ID-4)."""


class SessionNotFoundError(StorageError, LookupError):
    """The session to update was never created, was removed, or has expired (LC-5, EX-3)."""


class DecryptionError(StorageError):
    """A stored secret cannot be read: wrong key, no key, or a changed envelope (EN-4, EN-5).

    ``session_id`` names the session if the store knows it (EN-7), else it is ``None``.
    """

    def __init__(self, message: str, *, session_id: str | None = None) -> None:
        super().__init__(message)
        self.session_id = session_id


class StorageUnavailableError(StorageError):
    """The store cannot be reached, or its answer did not arrive; a write may or may not have been done (FA-1)."""


class StorageSetupError(StorageError):
    """The store can be reached but not used: a missing or old table, a damaged file (DU-4, FA-4)."""


class ConfigurationError(StorageError, ValueError):
    """A setting cannot work: a bad key, an unknown storage type, a missing variable (EN-8)."""
