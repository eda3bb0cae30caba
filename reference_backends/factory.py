"""From environment variables to a backend: the variables and the order of ``@mcp-ts/sdk``.

==============================  =================================================================================
``MCP_TS_STORAGE_TYPE``         ``redis``, ``file``, ``sqlite``, ``supabase`` or ``memory``; unset: the first
                                of Redis, file, SQLite, Supabase whose variables are set, else memory
``REDIS_URL``                   for Redis: a URL, or ``host:port``
``MCP_TS_STORAGE_FILE``         the file, ``./sessions.json`` unless set
``MCP_TS_STORAGE_SQLITE_PATH``  the database, ``./sessions.db`` unless set
``SUPABASE_URL``                and ``SUPABASE_SECRET_KEY`` or ``SUPABASE_SERVICE_ROLE_KEY``; with a warning also
                                ``SUPABASE_PUBLISHABLE_KEY`` or ``SUPABASE_ANON_KEY``
``STORAGE_ENCRYPTION_KEY``      64 hexadecimal digits; several, separated by commas: the first encrypts
``MCP_TS_STORAGE_STRICT``       ``1``: raise if upstream, and this by default, takes memory unasked
==============================  =================================================================================

An empty variable counts as unset. A bad encryption key is refused in every case, and so is ``SUPABASE_URL`` without a
key if Supabase is what the environment leads to.
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
from reference_backends.lazy import LazyStorage
from reference_backends.memory import MemoryStorageBackend

Environ = Mapping[str, str]

TYPES = ("redis", "file", "sqlite", "supabase", "memory")
YES = ("1", "true", "yes", "on")
NO = ("", "0", "false", "no", "off")

_UNKNOWN = f"MCP_TS_STORAGE_TYPE is none of {', '.join(TYPES)}"


class Choice(NamedTuple):
    """A backend to try: ``make`` builds it, ``why`` says what led to it."""

    name: str
    why: str
    make: Callable[[], StorageBackend]


async def create_storage(environ: Environ | None = None) -> StorageBackend:
    """Return the backend that the environment asks for, initialised, for the event loop of the caller.

    ``environ`` of ``None`` is ``os.environ``. Raises :class:`ConfigurationError` for a bad encryption key and for
    ``SUPABASE_URL`` without a key, and what the file and SQLite stores raise. If Redis or Supabase cannot be used, an
    error is logged and the next backend is tried, at last memory. With ``MCP_TS_STORAGE_STRICT=1`` the error is raised
    instead, a :class:`StorageError`, and so is one if nothing was chosen.
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
        logger.error("[mcp-storage] %s cannot be used: %s", choice.name, problem)
    clues = settings.clues()
    if strict:
        types = ", ".join(TYPES)
        raise ConfigurationError(
            f"no storage is chosen: set MCP_TS_STORAGE_TYPE to one of {types}, or all variables of one{clues}"
        )
    if failed:
        logger.error(
            "[mcp-storage] FALLING BACK TO MEMORY: every session is lost when this process ends, and no other process "
            "sees any; fix what is logged above, and set MCP_TS_STORAGE_STRICT=1 to stop here next time"
        )
    elif clues:
        logger.warning("[mcp-storage] Defaulting to: 'memory'%s", clues)
    else:
        logger.info("[mcp-storage] Defaulting to: 'memory'")
    return await _initialised(MemoryStorageBackend(**options))


storage: StorageBackend = LazyStorage(create_storage)
"""The ready-made store: chooses its backend from ``os.environ`` at its first call."""


def type_named(environ: Environ) -> str:
    """Return what ``MCP_TS_STORAGE_TYPE`` says, known or not; empty if it is not set."""
    return Settings(environ).stripped("MCP_TS_STORAGE_TYPE").lower()


def first_choice(settings: Settings) -> str:
    """Return the name of the backend that :func:`create_storage` tries first; ``memory`` if nothing else is chosen.

    Raises :class:`ConfigurationError` as that does, and for an unknown ``MCP_TS_STORAGE_TYPE``.
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
    """Raises :class:`ConfigurationError` for what is neither a yes nor a no: a slip must not pass for a no."""
    answer = settings.stripped("MCP_TS_STORAGE_STRICT").lower()
    if answer in YES or answer in NO:
        return answer in YES
    raise ConfigurationError("MCP_TS_STORAGE_STRICT is neither 1 nor 0")


def _keys(settings: Settings) -> list[str] | None:
    """The keys, each of which is one. Raises :class:`ConfigurationError`."""
    name = "STORAGE_ENCRYPTION_KEY"
    if not settings.raw(name):
        return None
    keys = [key.strip() for key in settings.text(name).split(",")]
    Keyring(keys)
    return keys


def _choices(settings: Settings, options: BackendOptions) -> Iterator[Choice]:
    """What to try, in order, until one works; memory comes after them."""
    makers: dict[str, Callable[[], StorageBackend]] = {
        "redis": lambda: _redis(settings, options),
        "file": lambda: _file(settings, options),
        "sqlite": lambda: _sqlite(settings, options),
        "supabase": lambda: _supabase(settings, options),
        "memory": lambda: MemoryStorageBackend(**options),
        "unknown": _unknown,
    }
    if wanted := settings.stripped("MCP_TS_STORAGE_TYPE").lower():
        name = wanted if wanted in TYPES else "unknown"
        if name == "supabase":
            settings.check_supabase()
        yield Choice(name, "Explicit selection", makers[name])
        # Upstream infers a backend if the type is none, and if Supabase's variables are missing.
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
        raise ConfigurationError(f"MCP_TS_STORAGE_TYPE is redis, and REDIS_URL is not set{settings.clues()}")
    from reference_backends.redis.backend import RedisStorageBackend
    from reference_backends.redis.url import redis_client

    url = settings.text("REDIS_URL")
    redis_client(url)  # what is wrong with the URL shows here, and not at the first call
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
            f"MCP_TS_STORAGE_TYPE is supabase: set SUPABASE_URL and {SERVICE_KEYS[0]}{settings.clues()}"
        )
    from reference_backends.supabase.project import SupabaseProjectBackend

    service = settings.first(SERVICE_KEYS)
    variable = service or settings.first(PUBLIC_KEYS)
    assert variable is not None  # check_supabase has seen to it
    url, key = settings.text("SUPABASE_URL"), settings.text(variable)
    return SupabaseProjectBackend(url, key, anon=service is None, variable=variable, **options)


def _unknown() -> StorageBackend:
    raise ConfigurationError(_UNKNOWN)


def _safe(name: str, error: Exception) -> StorageError:
    """The error to show. Another library's text may hold a password: only its kind is shown."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, ImportError):
        return ConfigurationError(f"a package for {name} is missing; install pytest-mcp-storage with its dependencies")
    return ConfigurationError(f"its settings do not work ({type(error).__name__}); check its URL")
