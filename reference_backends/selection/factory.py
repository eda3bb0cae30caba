"""Choose a backend from environment variables. Variables and order are those of ``@mcp-ts/sdk``.

==============================  =================================================================================
``MCP_TS_STORAGE_TYPE``         ``redis``, ``file``, ``sqlite``, ``supabase`` or ``memory``; unset: the first
                                of Redis, file, SQLite, Supabase whose variables are set, else memory
``REDIS_URL``                   for Redis: a URL, or ``host:port``
``MCP_TS_STORAGE_FILE``         the file; default ``./sessions.json``
``MCP_TS_STORAGE_SQLITE_PATH``  the database; default ``./sessions.db``
``SUPABASE_URL``                and ``SUPABASE_SECRET_KEY`` or ``SUPABASE_SERVICE_ROLE_KEY``; with a warning also
                                ``SUPABASE_PUBLISHABLE_KEY`` or ``SUPABASE_ANON_KEY``
``STORAGE_ENCRYPTION_KEY``      64 hexadecimal digits; several, separated by commas: the first encrypts
``MCP_TS_STORAGE_STRICT``       ``1``: raise an error instead of falling back to memory
==============================  =================================================================================

An empty variable counts as unset. A bad encryption key always raises an error. ``SUPABASE_URL`` without a key raises
an error if the environment selects Supabase.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from reference_backends.core.base import BackendOptions, logger
from reference_backends.core.errors import ConfigurationError, StorageError
from reference_backends.core.keyring import Keyring
from reference_backends.core.protocol import StorageBackend
from reference_backends.core.settings import PUBLIC_KEYS, SERVICE_KEYS, Settings
from reference_backends.memory import MemoryStorageBackend
from reference_backends.selection.lazy import LazyStorage

Environ = Mapping[str, str]

TYPES = ("redis", "file", "sqlite", "supabase", "memory")
YES = ("1", "true", "yes", "on")
NO = ("", "0", "false", "no", "off")

LONGEST_SHOWN = 20
"""Characters of an unknown type that a log shows. A longer one may be a URL with its password."""
_UNKNOWN = f"MCP_TS_STORAGE_TYPE is none of {', '.join(TYPES)}: set it to one of them"


class Choice(NamedTuple):
    """A backend to try: ``make`` builds it, ``why`` says how it was selected."""

    name: str
    why: str
    make: Callable[[], StorageBackend]


async def create_storage(environ: Environ | None = None) -> StorageBackend:
    """Return the initialised backend that the environment selects, for use on the caller's event loop.

    If ``environ`` is ``None``, read ``os.environ``. Raise :class:`ConfigurationError` for a bad encryption key and for
    ``SUPABASE_URL`` without a key, and any error of the file and SQLite stores. If Redis or Supabase cannot be used,
    log an error and try the next backend; the last one is memory. With ``MCP_TS_STORAGE_STRICT=1`` raise that error
    instead, and raise :class:`ConfigurationError` if the environment selects nothing.
    """
    settings = Settings(os.environ if environ is None else environ)
    options: BackendOptions = {"encryption_key": _keys(settings)}
    strict = _is_strict(settings)
    try:
        settings.check_names()
    except ConfigurationError as error:
        if strict:
            raise
        logger.warning("[mcp-storage] %s", error)
    failed = False
    for choice in _choices(settings, options):
        try:
            backend = await _initialised(choice.make())
        except Exception as error:
            if choice.name in ("file", "sqlite"):
                raise
            problem = _safe(choice.name, error)
        else:
            logger.info("[mcp-storage] %s: %r", choice.why, choice.name)
            return backend
        if strict:
            raise problem
        failed = True
        logger.error("[mcp-storage] %s cannot be used: %s", _shown(choice.name, settings), problem)
    hints = settings.hints()
    if strict:
        types = ", ".join(TYPES)
        raise ConfigurationError(
            f"no storage is selected: set MCP_TS_STORAGE_TYPE to one of {types}, or all variables of one{hints}"
        )
    if failed:
        logger.error(
            "[mcp-storage] FALLING BACK TO MEMORY: all sessions are lost when this process ends, and no other process "
            "can read them; fix the problem logged above, and set MCP_TS_STORAGE_STRICT=1 to get an error next time"
        )
    elif hints:
        logger.warning("[mcp-storage] Defaulting to: 'memory'%s", hints)
    else:
        logger.info("[mcp-storage] Defaulting to: 'memory'")
    return await _initialised(MemoryStorageBackend(**options))


storage: StorageBackend = LazyStorage(create_storage)
"""A store that chooses its backend from ``os.environ`` at its first call."""


def _shown(name: str, settings: Settings) -> str:
    """Return the name of a choice; for an unknown one the value that was set, if it is short enough to be a name."""
    wanted = settings.store_type
    return f"MCP_TS_STORAGE_TYPE={wanted!r}" if name == "unknown" and len(wanted) <= LONGEST_SHOWN else name


def first_choice(settings: Settings) -> str:
    """Return the name of the backend that :func:`create_storage` tries first; ``memory`` if nothing else is chosen.

    Raise :class:`ConfigurationError` as that does, and for an unknown ``MCP_TS_STORAGE_TYPE``.
    """
    choice = next(_choices(settings, {}), None)
    if choice is not None and choice.name == "unknown":
        raise ConfigurationError(_UNKNOWN)
    return choice.name if choice else "memory"


async def _initialised(backend: StorageBackend) -> StorageBackend:
    try:
        await backend.init()
    except BaseException:
        await backend.disconnect()
        raise
    return backend


def _is_strict(settings: Settings) -> bool:
    """Return whether the strict mode is on. Raise :class:`ConfigurationError` if the value is not a yes or a no."""
    answer = settings.stripped("MCP_TS_STORAGE_STRICT").lower()
    if answer in YES or answer in NO:
        return answer in YES
    raise ConfigurationError("MCP_TS_STORAGE_STRICT is neither 1 nor 0: set it to one of them")


def _keys(settings: Settings) -> list[str] | None:
    """Return the valid encryption keys, ``None`` if none is set. Raise :class:`ConfigurationError` for a bad key."""
    name = "STORAGE_ENCRYPTION_KEY"
    if not settings.raw(name):
        return None
    keys = [key.strip() for key in settings.text(name).split(",")]
    Keyring(keys)
    return keys


def _choices(settings: Settings, options: BackendOptions) -> Iterator[Choice]:
    """Yield the backends to try, in order, until one works. The caller tries memory last."""
    makers: dict[str, Callable[[], StorageBackend]] = {
        "redis": lambda: _redis(settings, options),
        "file": lambda: _file(settings, options),
        "sqlite": lambda: _sqlite(settings, options),
        "supabase": lambda: _supabase(settings, options),
        "memory": lambda: MemoryStorageBackend(**options),
        "unknown": _unknown,
    }
    if wanted := settings.store_type:
        name = wanted if wanted in TYPES else "unknown"
        if name == "supabase":
            settings.check_supabase()
        yield Choice(name, "Explicit selection", makers[name])
        # @mcp-ts/sdk infers a backend if the type is unknown or the variables of Supabase are missing.
        if name != "unknown" and not (name == "supabase" and "SUPABASE_URL" not in settings):
            return
    detected = {
        "redis": "REDIS_URL",
        "file": "MCP_TS_STORAGE_FILE",
        "sqlite": "MCP_TS_STORAGE_SQLITE_PATH",
        "supabase": "SUPABASE_URL",
    }
    for name, variable in detected.items():
        if variable in settings:
            if name == "supabase":
                settings.check_supabase()
            yield Choice(name, "Auto-detection", makers[name])


def _redis(settings: Settings, options: BackendOptions) -> StorageBackend:
    if "REDIS_URL" not in settings:
        raise ConfigurationError(f"MCP_TS_STORAGE_TYPE is redis, and REDIS_URL is not set{settings.hints()}")
    from reference_backends.redis.backend import RedisStorageBackend
    from reference_backends.redis.url import redis_client

    url = settings.text("REDIS_URL")
    redis_client(url)  # a bad URL raises here, not at the first call
    return RedisStorageBackend(partial(redis_client, url), **options)


def _file(settings: Settings, options: BackendOptions) -> StorageBackend:
    from reference_backends.file.backend import FileStorageBackend

    return FileStorageBackend(_path(settings, "MCP_TS_STORAGE_FILE", "./sessions.json"), **options)


def _sqlite(settings: Settings, options: BackendOptions) -> StorageBackend:
    from reference_backends.sqlite.backend import SqliteStorageBackend

    return SqliteStorageBackend(_path(settings, "MCP_TS_STORAGE_SQLITE_PATH", "./sessions.db"), **options)


def _path(settings: Settings, name: str, default: str) -> str:
    if settings.is_empty(name):
        logger.warning("[mcp-storage] %s is empty: using %s", name, default)
    return settings.path(name, default)


def _supabase(settings: Settings, options: BackendOptions) -> StorageBackend:
    if "SUPABASE_URL" not in settings:
        raise ConfigurationError(
            f"MCP_TS_STORAGE_TYPE is supabase: set SUPABASE_URL and {SERVICE_KEYS[0]}{settings.hints()}"
        )
    from reference_backends.supabase.project import SupabaseProjectBackend

    service = settings.first(SERVICE_KEYS)
    variable = service or settings.first(PUBLIC_KEYS)
    assert variable is not None  # check_supabase() raises if it is
    url, key = settings.text("SUPABASE_URL"), settings.text(variable)
    return SupabaseProjectBackend(url, key, anon=service is None, variable=variable, **options)


def _unknown() -> StorageBackend:
    raise ConfigurationError(_UNKNOWN)


def _safe(name: str, error: Exception) -> StorageError:
    """Return the error to show. The text of another library's error may hold a password, so only its type is shown."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, ImportError):
        return ConfigurationError(f"a package for {name} is missing; install pytest-mcp-storage with its dependencies")
    return ConfigurationError(f"its settings do not work ({type(error).__name__}); check its URL")
