"""A Redis or Valkey server as a container."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping

from pytest_mcp_storage.stacks.redis.endpoint import REMEDY, RedisServer, answers, release
from reference_backends.core.errors import StorageSetupError

IMAGE_VARIABLE = "MCP_STORAGE_REDIS_IMAGE"
IMAGE = "valkey/valkey:8-alpine"

# Removes the container when the pipe to us closes, however we die: the engine knows nothing of us.
_REMOVER = """
import sys
sys.stdin.read()
import docker
docker.from_env().containers.get(sys.argv[1]).remove(force=True, v=True)
"""


@contextlib.asynccontextmanager
async def started(environ: Mapping[str, str]) -> AsyncIterator[RedisServer]:
    """A container of the image that ``MCP_STORAGE_REDIS_IMAGE`` names, published on loopback.

    Raises :class:`StorageSetupError` where Docker does not run, the image can't be had, or nothing answers in it.
    """
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer

    from pytest_mcp_storage.stacks.supabase.docker import LOOPBACK, check_docker

    image = environ.get(IMAGE_VARIABLE) or IMAGE
    try:
        check_docker()
    except StorageSetupError:
        raise StorageSetupError(f"no Redis server found, and no Docker engine answers: {REMEDY}") from None
    container = DockerContainer(image)
    container.ports = {"6379": LOOPBACK}  # type: ignore[dict-item]  # Docker takes the pair
    try:
        await asyncio.to_thread(container.start)
    except DockerException as error:
        problem = f"no container of {image} can be started ({error}): pull or build it, or name another by "
        raise StorageSetupError(problem + IMAGE_VARIABLE) from None
    remover = _remover(str(container.get_container_id()))
    try:
        url = f"redis://{LOOPBACK[0]}:{container.get_exposed_port(6379)}/0"  # where it is published, whatever runs us
        name = await answers(url)
        if name is None:
            raise StorageSetupError(f"the container of {image} runs, and no Redis server answers in it")
        yield RedisServer(url, "docker", name)
    finally:
        await asyncio.to_thread(release, remover)


def _remover(container: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _REMOVER, container], stdin=subprocess.PIPE, start_new_session=True)
