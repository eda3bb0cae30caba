"""A Redis or Valkey server as a container."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mcp_storage.stacks.redis.endpoint import REMEDY, RedisServer, answers, supervised
from reference_backends.core.errors import StorageSetupError

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE_VARIABLE = "MCP_STORAGE_REDIS_IMAGE"
IMAGE = "valkey/valkey:8-alpine"


def started(environ: Mapping[str, str]) -> AbstractAsyncContextManager[RedisServer]:
    """Start a container of the image that ``MCP_STORAGE_REDIS_IMAGE`` names, published on loopback.

    Raises :class:`StorageSetupError` if Docker does not run, the image can't be had, or nothing answers in it.
    """
    from pytest_mcp_storage.stacks.supabase.docker import check_docker

    image = environ.get(IMAGE_VARIABLE) or IMAGE
    try:
        check_docker()
    except StorageSetupError:
        raise StorageSetupError(f"no Redis server was found, and no Docker engine answers: {REMEDY}") from None
    return supervised("docker", f"{__name__}:RedisContainer", {"image": image})


class RedisContainer:
    """A container of ``image``; run by the supervisor."""

    def __init__(self, folder: Path, keys: object, *, image: str) -> None:
        self.image = image
        self.container: DockerContainer | None = None
        self.url = ""

    async def start(self, note: object) -> None:
        from docker.errors import DockerException
        from testcontainers.core.container import DockerContainer

        from pytest_mcp_storage.stacks.supabase.docker import LOOPBACK

        container = DockerContainer(self.image)
        container.ports = {"6379": LOOPBACK}  # type: ignore[dict-item]  # Docker takes the pair
        try:
            container.start()
        except DockerException as error:
            problem = (
                f"no container of {self.image} can be started ({error}): pull or build it, or name another image in "
            )
            raise StorageSetupError(problem + IMAGE_VARIABLE) from None
        self.container = container
        self.url = f"redis://{LOOPBACK[0]}:{container.get_exposed_port(6379)}/0"  # the published port
        if not await answers(self.url):
            raise StorageSetupError(
                f"the container of {self.image} runs, but no Redis server answers in it: "
                f"name an image of Redis or Valkey in {IMAGE_VARIABLE}"
            )

    def facts(self) -> dict[str, Any]:
        return {"url": self.url, "folder": None}

    async def stop(self) -> None:
        if self.container is not None:
            self.container.stop()
