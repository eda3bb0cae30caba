"""The runtime library of MCP session stores: session data, the store protocol, encryption, five backends.

Each name is loaded when it is first used. So the packages of a store are not imported if another store is used.

- ``core``: what every store shares: sessions, the protocol, errors, encryption, the base class.
- ``memory``: the store in memory.
- ``embedded``: what the file store and the SQLite store share.
- ``file``, ``sqlite``, ``redis``, ``supabase``: one folder for each store, ``backend`` first.
- ``selection``: ``create_storage`` and ``storage``: choose a store from environment variables.
- ``maintenance``: migrate and reseal the sessions of a store.
- ``mcp``: token storage and OAuth provider for the official MCP SDK.
- ``key_value``: py-key-value's ``AsyncKeyValue`` on any store.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_backends.core.base import BackendOptions, BaseBackend
    from reference_backends.core.errors import (
        ConfigurationError,
        DecryptionError,
        InvalidSessionError,
        SessionExistsError,
        SessionNotFoundError,
        StorageError,
        StorageSetupError,
        StorageUnavailableError,
    )
    from reference_backends.core.keyring import Keyring
    from reference_backends.core.protocol import Clock, StorageBackend
    from reference_backends.core.session import SessionData, SessionUpdate
    from reference_backends.core.validation import (
        check_changes,
        check_identity,
        check_names,
        check_session,
        check_ttl,
    )
    from reference_backends.file.backend import FileStorageBackend
    from reference_backends.memory import MemoryStorageBackend
    from reference_backends.redis.backend import RedisStorageBackend
    from reference_backends.selection.factory import create_storage, storage
    from reference_backends.sqlite.backend import SqliteStorageBackend
    from reference_backends.supabase.backend import SupabaseStorageBackend, create_supabase_storage_backend

_HOMES = {
    "core.base": ("BackendOptions", "BaseBackend"),
    "core.errors": (
        "ConfigurationError",
        "DecryptionError",
        "InvalidSessionError",
        "SessionExistsError",
        "SessionNotFoundError",
        "StorageError",
        "StorageSetupError",
        "StorageUnavailableError",
    ),
    "file.backend": ("FileStorageBackend",),
    "core.keyring": ("Keyring",),
    "memory": ("MemoryStorageBackend",),
    "core.protocol": ("Clock", "StorageBackend"),
    "redis.backend": ("RedisStorageBackend",),
    "selection.factory": ("create_storage", "storage"),
    "core.session": ("SessionData", "SessionUpdate"),
    "core.validation": ("check_changes", "check_identity", "check_names", "check_session", "check_ttl"),
    "sqlite.backend": ("SqliteStorageBackend",),
    "supabase.backend": ("SupabaseStorageBackend", "create_supabase_storage_backend"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BackendOptions",
    "BaseBackend",
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
    "check_changes",
    "check_identity",
    "check_names",
    "check_session",
    "check_ttl",
    "create_storage",
    "create_supabase_storage_backend",
    "storage",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
