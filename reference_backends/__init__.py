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
    from reference_backends.file import FileStorageBackend
    from reference_backends.keyring import Keyring
    from reference_backends.memory import MemoryStorageBackend
    from reference_backends.protocol import Clock, StorageBackend
    from reference_backends.redis import RedisStorageBackend
    from reference_backends.selection import create_storage, storage
    from reference_backends.session import SessionData, SessionUpdate
    from reference_backends.sqlite import SqliteStorageBackend
    from reference_backends.supabase import SupabaseStorageBackend, create_supabase_storage_backend

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
    "file": ("FileStorageBackend",),
    "keyring": ("Keyring",),
    "memory": ("MemoryStorageBackend",),
    "protocol": ("Clock", "StorageBackend"),
    "redis": ("RedisStorageBackend",),
    "selection": ("create_storage", "storage"),
    "session": ("SessionData", "SessionUpdate"),
    "sqlite": ("SqliteStorageBackend",),
    "supabase": ("SupabaseStorageBackend", "create_supabase_storage_backend"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Clock",
    "ConfigurationError",
    "DecryptionError",
    "FileStorageBackend",
    "InvalidSessionError",
    "Keyring",
    "MemoryStorageBackend",
    "RedisStorageBackend",
    "SessionData",
    "SessionExistsError",
    "SessionNotFoundError",
    "SessionUpdate",
    "SqliteStorageBackend",
    "StorageBackend",
    "StorageError",
    "StorageSetupError",
    "StorageUnavailableError",
    "SupabaseStorageBackend",
    "create_storage",
    "create_supabase_storage_backend",
    "storage",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
