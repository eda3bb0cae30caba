"""The docker provider: the official images of PostgreSQL and PostgREST, on loopback ports.

The Docker engine must run on this machine, and this process must not run in a container.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mcp_storage.stacks.polling import poll
from pytest_mcp_storage.stacks.servers import Note
from pytest_mcp_storage.stacks.supabase.database_schema import BARE, PREPARED, install
from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys, key_kind
from pytest_mcp_storage.stacks.supabase.postgrest import settings
from pytest_mcp_storage.stacks.supabase.servers import Upstream
from pytest_mcp_storage.stacks.supabase.stack import Say
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends.core.errors import StorageSetupError

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.network import Network

POSTGRES_IMAGE = "postgres:17-alpine"
POSTGREST_IMAGE = "postgrest/postgrest:v16.5"
START_LIMIT = 60.0
HOST = "127.0.0.1"
LOOPBACK = (HOST, 0)
"""The address that a container's port is published on: any free loopback port."""


def start(*, environ: Mapping[str, str] | None = None, say: Say = lambda text: None) -> SupervisedServer:
    """Start a stack of containers.

    ``MCP_STORAGE_POSTGRES_IMAGE`` and ``MCP_STORAGE_POSTGREST_IMAGE`` replace the official images. The other images
    must accept the same settings.

    Raises :class:`StorageSetupError` if Docker does not run, an image can't be pulled, or a container does not start.
    """
    environ = os.environ if environ is None else environ
    keys = key_kind(environ)
    check_docker()
    images = {
        "postgres_image": environ.get("MCP_STORAGE_POSTGRES_IMAGE") or POSTGRES_IMAGE,
        "postgrest_image": environ.get("MCP_STORAGE_POSTGREST_IMAGE") or POSTGREST_IMAGE,
    }
    say(f"Supabase stack: starting containers of {' and '.join(images.values())}")
    return SupervisedServer("docker", f"{__name__}:DockerServers", images, say=say, keys=keys)


def check_docker() -> None:
    """Raise :class:`StorageSetupError` if no Docker engine answers."""
    if not _docker_answers():
        raise StorageSetupError(
            "no Docker engine answers: start it, or set DOCKER_HOST; --mcp-supabase=native needs none"
        )


def _docker_answers() -> bool:
    import docker
    from docker.errors import DockerException

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            docker.from_env(timeout=5).close()
        except DockerException:
            pass
        else:
            return True
        gc.collect()  # the client does not close its socket; collect it here, where the warning is ignored
        return False


class DockerServers:
    """One PostgreSQL container, and a PostgREST container for each database; run by the supervisor."""

    def __init__(self, folder: Path, keys: ProjectKeys, *, postgres_image: str, postgrest_image: str) -> None:
        self.keys = keys
        self.images = {"postgres": postgres_image, "postgrest": postgrest_image}
        self.password = os.urandom(24).hex()
        self.network: Network | None = None
        self.postgres: DockerContainer | None = None
        self.rest_servers: dict[str, DockerContainer] = {}

    async def start(self, note: Note) -> None:
        from testcontainers.core.network import Network

        self.network = Network().create()
        self.postgres = self._run("postgres", 5432, POSTGRES_PASSWORD=self.password)
        note.part("postgres container")
        await self._answers()
        await install(self._connect)
        async with await self._connect(BARE) as connection:
            await connection.execute(f"alter role authenticator password '{self.password}'".encode())
        note.part("postgres")

    async def add(self, name: str, *, migrated: bool, max_rows: int) -> Upstream:
        async with await self._connect("postgres") as connection:
            template = PREPARED if migrated else BARE
            await connection.execute(f'create database "{name}" template {template}'.encode())
        database = f"postgresql://authenticator:{self.password}@postgres:5432/{name}"
        environment = settings(database, jwt_secret=self.keys.verifier, max_rows=max_rows)
        rest_server = self.rest_servers[name] = self._run("postgrest", 3000, **environment)
        return Upstream(_address(rest_server), self._url(name))

    async def ready(self, name: str) -> None:
        from aiohttp import ClientError, ClientSession

        rest_server = self.rest_servers[name]
        async with ClientSession() as client:

            async def answer() -> bool | None:
                try:
                    async with client.head(_address(rest_server)) as head:
                        return head.status == 200 or None
                except (ClientError, OSError):
                    return None

            if not await poll(answer, limit=START_LIMIT, every=0.02):
                raise StorageSetupError(_no_answer("PostgREST", rest_server))

    async def remove(self, name: str) -> None:
        self.rest_servers.pop(name).stop()
        async with await self._connect("postgres") as connection:
            await connection.execute(f'drop database "{name}" with (force)'.encode())

    def facts(self) -> dict[str, Any]:
        containers = [self.postgres, *self.rest_servers.values()]
        return {"containers": [one.get_container_id() for one in containers if one is not None]}

    async def stop(self) -> None:
        for container in (*self.rest_servers.values(), self.postgres):
            if container is not None:
                container.stop()
        if self.network is not None:
            self.network.remove()

    def _run(self, part: str, port: int, **environment: str) -> DockerContainer:
        from docker.errors import DockerException
        from testcontainers.core.container import DockerContainer

        assert self.network is not None
        container = DockerContainer(self.images[part]).with_envs(**environment).with_network(self.network)
        container.with_network_aliases(part)
        container.ports = {str(port): LOOPBACK}  # type: ignore[dict-item]  # Docker takes the pair
        try:
            return container.start()
        except DockerException as error:
            raise StorageSetupError(
                f"no container of {self.images[part]} can be started ({error}): pull or build the image, "
                f"or name another image in MCP_STORAGE_{part.upper()}_IMAGE"
            ) from None

    async def _answers(self) -> None:
        """Wait until a superuser can connect by TCP. The image's set-up phase does not listen there."""
        import psycopg

        async def answer() -> bool | None:
            try:
                await (await self._connect("postgres")).close()
            except psycopg.OperationalError:
                return None
            return True

        if not await poll(answer, limit=START_LIMIT, every=0.05):
            assert self.postgres is not None
            raise StorageSetupError(_no_answer("PostgreSQL", self.postgres))

    def _url(self, database: str) -> str:
        assert self.postgres is not None
        port = self.postgres.get_exposed_port(5432)
        return f"postgresql://postgres:{self.password}@{HOST}:{port}/{database}?sslmode=disable"

    async def _connect(self, database: str) -> AsyncConnection[tuple[object, ...]]:
        import psycopg

        return await psycopg.AsyncConnection.connect(self._url(database), autocommit=True, connect_timeout=5)


def _address(rest_server: DockerContainer) -> str:
    return f"http://{HOST}:{rest_server.get_exposed_port(3000)}"


def _no_answer(part: str, container: DockerContainer) -> str:
    words = " · ".join(b"".join(container.get_logs()).decode("utf-8", "replace").splitlines()[-5:])
    return (
        f"{part} of {container.image} does not answer on {HOST}. The Docker engine must run on this machine. "
        f"The container's log ends: {words}"
    )
