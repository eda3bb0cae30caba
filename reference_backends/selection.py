"""From environment variables to a backend: the variables and the order of ``@mcp-ts/sdk``.

==============================  =================================================================================
``MCP_TS_STORAGE_TYPE``         ``redis``, ``file``, ``sqlite``, ``supabase`` or ``memory``; unset: the first
                                of Redis, file, SQLite, Supabase whose variables are set, else memory
``REDIS_URL``                   for Redis
``MCP_TS_STORAGE_FILE``         the file, ``./sessions.json`` unless set
``MCP_TS_STORAGE_SQLITE_PATH``  the database, ``./sessions.db`` unless set
``SUPABASE_URL``                and ``SUPABASE_SERVICE_ROLE_KEY``, else ``SUPABASE_ANON_KEY`` with a warning
``STORAGE_ENCRYPTION_KEY``      64 hexadecimal digits; several, separated by commas: the first encrypts
``MCP_TS_STORAGE_STRICT``       ``1``: raise where upstream, and this by default, takes memory without being told to
==============================  =================================================================================

An empty variable counts as unset. A bad encryption key is refused in every case.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from reference_backends.errors import ConfigurationError, StorageError
from reference_backends.handle import HandleOptions, logger
from reference_backends.keyring import Keyring
from reference_backends.memory import MemoryStorageBackend
from reference_backends.protocol import StorageBackend
from reference_backends.ready_made import ReadyMadeStorage

Environ = Mapping[str, str]

TYPES = ("redis", "file", "sqlite", "supabase", "memory")
YES = ("1", "true", "yes", "on")
NO = ("", "0", "false", "no", "off")


class Choice(NamedTuple):
    """A backend to try: ``make`` builds it, ``why`` says what led to it."""

    name: str
    why: str
    make: Callable[[], StorageBackend]


async def create_storage(environ: Environ = os.environ) -> StorageBackend:
    """The backend that the environment asks for, initialised, for the event loop of the caller.

    Raises :class:`ConfigurationError` for a bad encryption key, and what the file and SQLite stores raise. Where Redis
    or Supabase cannot be used, an error is logged and the next backend is tried, at last memory; with
    ``MCP_TS_STORAGE_STRICT=1`` the error is raised: a :class:`StorageError`. So it is where nothing was chosen.
    """
    given = {name: value for name, value in environ.items() if value}
    options: HandleOptions = {"encryption_key": _keys(given)}
    strict = _is_strict(given)
    failed = False
    for choice in _choices(given, options):
        try:
            backend = await _initialised(choice.make())
        except Exception as error:
            if choice.name in ("file", "sqlite"):
                raise
            problem = _told(choice.name, error)
        else:
            logger.info("[mcp-storage] %s: %r", choice.why, choice.name)
            return backend
        if strict:
            raise problem
        failed = True
        logger.error("[mcp-storage] %s cannot be used: %s", _shown(choice.name, given), problem)
    if strict:
        raise ConfigurationError(
            f"no storage is chosen: set MCP_TS_STORAGE_TYPE to one of {', '.join(TYPES)}, or all variables of one"
        )
    if failed:
        logger.error(
            "[mcp-storage] FALLING BACK TO MEMORY: every session is lost when this process ends, and no other process "
            "sees any; mend what is logged above, and set MCP_TS_STORAGE_STRICT=1 to stop here next time"
        )
    else:
        logger.info("[mcp-storage] Defaulting to: 'memory'")
    return await _initialised(MemoryStorageBackend(**options))


LONGEST_NAME = 20
"""Characters of a type that are shown in a log: what is longer may be a URL with its password."""

storage: StorageBackend = ReadyMadeStorage(create_storage)
"""The ready-made store: chooses its backend from ``os.environ`` at its first call."""


def type_named(environ: Environ) -> str:
    """What ``MCP_TS_STORAGE_TYPE`` says, known or not; empty where it is not set."""
    return environ.get("MCP_TS_STORAGE_TYPE", "").strip().lower()


def _shown(name: str, given: Environ) -> str:
    """Return the name of a choice; of an unknown one what was set, if it is short enough to be a name."""
    wanted = type_named(given)
    return f"MCP_TS_STORAGE_TYPE={wanted!r}" if name == "unknown" and len(wanted) <= LONGEST_NAME else name


async def _initialised(backend: StorageBackend) -> StorageBackend:
    try:
        await backend.init()
    except BaseException:
        await backend.disconnect()
        raise
    return backend


def _is_strict(given: Environ) -> bool:
    """Raises :class:`ConfigurationError` for what is neither a yes nor a no: a slip must not pass for a no."""
    answer = given.get("MCP_TS_STORAGE_STRICT", "").strip().lower()
    if answer in YES or answer in NO:
        return answer in YES
    raise ConfigurationError("MCP_TS_STORAGE_STRICT is neither 1 nor 0")


def _keys(given: Environ) -> list[str] | None:
    """The keys, each of which is one. Raises :class:`ConfigurationError`."""
    if "STORAGE_ENCRYPTION_KEY" not in given:
        return None
    keys = [key.strip() for key in given["STORAGE_ENCRYPTION_KEY"].split(",")]
    Keyring(keys)
    return keys


def _choices(given: Environ, options: HandleOptions) -> Iterator[Choice]:
    """What to try, in order, until one works; memory comes after them."""
    makers: dict[str, Callable[[], StorageBackend]] = {
        "redis": partial(_redis, given, options),
        "file": partial(_file, given, options),
        "sqlite": partial(_sqlite, given, options),
        "supabase": partial(_supabase, given, options),
        "memory": partial(MemoryStorageBackend, **options),
        "unknown": _unknown,
    }
    if wanted := type_named(given):
        name = wanted if wanted in TYPES else "unknown"
        yield Choice(name, "Explicit selection", makers[name])
        # Upstream infers a backend where the type is none, and where Supabase's variables are missing.
        if name != "unknown" and not (name == "supabase" and not _has_supabase(given)):
            return
    detected = {
        "redis": "REDIS_URL" in given,
        "file": "MCP_TS_STORAGE_FILE" in given,
        "sqlite": "MCP_TS_STORAGE_SQLITE_PATH" in given,
        "supabase": _has_supabase(given),
    }
    for name, is_set in detected.items():
        if is_set:
            yield Choice(name, "Auto-detection", makers[name])


def _has_supabase(given: Environ) -> bool:
    return "SUPABASE_URL" in given and ("SUPABASE_SERVICE_ROLE_KEY" in given or "SUPABASE_ANON_KEY" in given)


def _redis(given: Environ, options: HandleOptions) -> StorageBackend:
    from redis.asyncio import Redis

    from reference_backends.redis import RedisStorageBackend

    if "REDIS_URL" not in given:
        raise ConfigurationError("MCP_TS_STORAGE_TYPE is redis, and REDIS_URL is not set")
    return RedisStorageBackend(partial(Redis.from_url, given["REDIS_URL"]), **options)


def _file(given: Environ, options: HandleOptions) -> StorageBackend:
    from reference_backends.file import FileStorageBackend

    return FileStorageBackend(given.get("MCP_TS_STORAGE_FILE", "./sessions.json"), **options)


def _sqlite(given: Environ, options: HandleOptions) -> StorageBackend:
    from reference_backends.sqlite import SqliteStorageBackend

    return SqliteStorageBackend(given.get("MCP_TS_STORAGE_SQLITE_PATH", "./sessions.db"), **options)


def _supabase(given: Environ, options: HandleOptions) -> StorageBackend:
    if not _has_supabase(given):
        raise ConfigurationError("MCP_TS_STORAGE_TYPE is supabase: set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY")
    from reference_backends.supabase_project import SupabaseProjectBackend

    service = given.get("SUPABASE_SERVICE_ROLE_KEY")
    key = service or given["SUPABASE_ANON_KEY"]
    return SupabaseProjectBackend(given["SUPABASE_URL"], key, anon=service is None, **options)


def _unknown() -> StorageBackend:
    raise ConfigurationError(f"MCP_TS_STORAGE_TYPE is none of {', '.join(TYPES)}")


def _told(name: str, error: Exception) -> StorageError:
    """The error to show. Another library's text may hold a password: its kind alone is told."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, ImportError):
        return ConfigurationError(f"a package for {name} is missing; install pytest-mcp-storage with its dependencies")
    return ConfigurationError(f"its settings do not work ({type(error).__name__}); check its URL")
