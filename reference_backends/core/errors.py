"""What a store raises. Every error says what to do next, and none of them shows a secret."""

from __future__ import annotations


class StorageError(Exception):
    """Base of all errors that a session store raises on purpose."""


class InvalidSessionError(StorageError, ValueError):
    """A session, an update, an id or a ttl that no store may accept (EX-8, LC-4, LC-6, LC-9)."""


class SessionExistsError(StorageError):
    """The session to create is alive already, or its id is taken (LC-1, ID-4)."""


class SessionNotFoundError(StorageError, LookupError):
    """The session to update was never created, was removed, or has expired (LC-5, EX-3)."""


class DecryptionError(StorageError):
    """A stored secret cannot be read: wrong key, no key, or an altered envelope (EN-4, EN-5).

    ``session_id`` names the session where the store knows it (EN-7), else it is ``None``.
    """

    def __init__(self, message: str, *, session_id: str | None = None) -> None:
        super().__init__(message)
        self.session_id = session_id


class StorageUnavailableError(StorageError):
    """The store cannot be reached, or its answer did not arrive; the call may or may not have been done (FA-1)."""


class StorageSetupError(StorageError):
    """The store is there but not usable as it stands: a missing or old table, a damaged file (DU-4, FA-4)."""


class ConfigurationError(StorageError, ValueError):
    """A setting that cannot work: a bad key, an unknown storage type, a variable that is missing (EN-8)."""
