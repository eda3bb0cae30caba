"""The runtime library of MCP session stores: session data, the store protocol, encryption, five backends.

Names are loaded when they are first used, so that a store's package costs nothing where another store is chosen.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_backends.errors import (
        ConfigurationError,
        DecryptionError,
        InvalidSessionError,
        SessionExistsError,
        SessionNotFoundError,
        StorageError,
        StorageSetupError,
        StorageUnavailableError,
    )
    from reference_backends.keyring import Keyring
    from reference_backends.memory import MemoryStorageBackend
    from reference_backends.protocol import Clock, StorageBackend
    from reference_backends.session import SessionData, SessionUpdate

_HOMES = {
    "errors": (
        "ConfigurationError",
        "DecryptionError",
        "InvalidSessionError",
        "SessionExistsError",
        "SessionNotFoundError",
        "StorageError",
        "StorageSetupError",
        "StorageUnavailableError",
    ),
    "keyring": ("Keyring",),
    "memory": ("MemoryStorageBackend",),
    "protocol": ("Clock", "StorageBackend"),
    "session": ("SessionData", "SessionUpdate"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Clock",
    "ConfigurationError",
    "DecryptionError",
    "InvalidSessionError",
    "Keyring",
    "MemoryStorageBackend",
    "SessionData",
    "SessionExistsError",
    "SessionNotFoundError",
    "SessionUpdate",
    "StorageBackend",
    "StorageError",
    "StorageSetupError",
    "StorageUnavailableError",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
