"""The Redis container, on a real engine, with an image of this machine's server, without a registry."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from redis.asyncio import Redis

from pytest_mcp_storage.harnesses.redis import RedisHarness
from pytest_mcp_storage.stacks.redis.native import server_program
from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import SessionData, StorageSetupError
from tests.stacks import images
from tests.stacks.supabase.test_native import becomes_true

pytestmark = pytest.mark.containers

IMAGE = "pytest-mcp-storage-test/redis:latest"

SESSION = SessionData(
    session_id="s1", identity="alice", server_url="u", transport_type="sse", callback_url="c", created_at=0
)

HOLDER = """
import asyncio, json, sys
from pytest_mcp_storage.stacks.redis.server import redis_server
async def hold():
    async with redis_server() as server:
        print(json.dumps(server.url), flush=True)
        sys.stdin.read()
asyncio.run(hold())
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with images.alone(), images.engine(tmp_path_factory.mktemp("docker")) as host:
        build(host)
        yield host
        run(host, "image", "rm", "--force", IMAGE)


@pytest.fixture(autouse=True)
def _environment(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")  # its image is missing; the supervisor cleans up
    monkeypatch.setenv("MCP_STORAGE_REDIS", "docker")
    monkeypatch.setenv("MCP_STORAGE_REDIS_IMAGE", IMAGE)


def build(host: str) -> None:
    """Make an image that works as the official ones: a server on port 6379 of every address."""
    program = server_program()
    assert program is not None
    printed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    needed = {word for line in printed.splitlines() for word in line.split() if word.startswith("/")}
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w", dereference=True) as tar:
        tar.add(program, "/server")
        for library in needed:
            tar.add(Path(library))
            tar.inodes = {}  # type: ignore[attr-defined]  # no hard links: each name of a library is a file
    command = json.dumps(["/server", "--protected-mode", "no", "--save", ""])
    run(host, "import", "--change", f"CMD {command}", "-", IMAGE, sent=image.getvalue())


def run(host: str, *arguments: str, sent: bytes = b"") -> None:
    environment = {**os.environ, "DOCKER_HOST": host}
    subprocess.run(["docker", *arguments], env=environment, input=sent, capture_output=True, check=True)


async def test_the_harness_works_on_a_container() -> None:
    before = images.containers()
    async with RedisHarness() as harness:
        backend = await harness.open()
        await backend.create_session(SESSION)
        assert await backend.get_identity_sessions_data("alice") == [SESSION]
        assert b"alice" in await harness.stored_bytes()
        await backend.disconnect()
        client = docker.from_env()
        ports = [client.containers.get(each).ports for each in set(images.containers()) - set(before)]
        client.close()
        assert {binding["HostIp"] for port in ports for bindings in port.values() for binding in bindings or []} == {
            "127.0.0.1"
        }
    assert images.containers() == before


async def test_what_answers_is_named() -> None:
    async with redis_server() as server, Redis.from_url(server.url) as client:
        assert (server.provider, server.owned, server.folder) == ("docker", True, None)
        assert server.program.split()[0] in ("redis", "valkey")
        assert await client.ping()


def test_no_container_outlives_a_killed_run() -> None:
    before = images.containers()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        assert len(images.containers()) == len(before) + 1
        process.kill()
    assert becomes_true(lambda: images.containers() == before)


async def test_an_image_that_cannot_be_had_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_STORAGE_REDIS_IMAGE", "no-such-image:0")
    with pytest.raises(StorageSetupError, match=r"no-such-image:0.*MCP_STORAGE_REDIS_IMAGE"):
        async with redis_server():
            pass
