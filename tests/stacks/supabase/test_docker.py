"""The docker provider, on a real engine, with images of this machine's PostgreSQL and PostgREST."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
import psycopg
import pytest

from pytest_mcp_storage.stacks.supabase.providers import start_stack
from reference_backends.core.errors import StorageSetupError
from tests.stacks import images
from tests.stacks.supabase.conftest import ROW, Rest, listed
from tests.stacks.supabase.test_native import becomes_true

pytestmark = pytest.mark.containers

ENVIRONMENT = {"MCP_STORAGE_POSTGRES_IMAGE": images.POSTGRES, "MCP_STORAGE_POSTGREST_IMAGE": images.POSTGREST}

HOLDER = """
import json, os, sys
from pytest_mcp_storage.stacks.supabase.providers import (start_stack)
server = start_stack("docker")
server.store()
print(json.dumps(server.facts()["containers"]), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with images.alone(), images.engine(tmp_path_factory.mktemp("docker")) as host:
        images.build(host)
        yield host
        images.remove(host)


@pytest.fixture(autouse=True)
def _environment(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")  # its image is missing; the supervisor cleans up


def test_a_stack_of_containers(rest: Rest) -> None:
    before = images.containers()
    with start_stack("docker", environ=ENVIRONMENT) as server:
        stack, other = server.store(), server.store(max_rows=1)
        assert (stack.provider, stack.owned, stack.isolated) == ("docker", True, True)
        assert rest(stack, "mcp_sessions", method="POST", json=ROW).status_code == 201
        assert listed(rest(stack, "mcp_sessions", key=stack.anon_key, user=stack.token("alice"))) == ["s1"]
        assert rest(stack, "mcp_sessions", key=stack.anon_key, user=stack.token("bob")).json() == []
        assert rest(other, "mcp_sessions").json() == []
        with psycopg.connect(str(stack.database_url)) as database:
            assert database.execute("select count(*) from mcp_sessions").fetchone() == (1,)
        server.pause(stack)
        with pytest.raises(httpx.ConnectError):
            rest(stack, "mcp_sessions")
        server.resume(stack)
        assert listed(rest(stack, "mcp_sessions")) == ["s1"]
        server.drop(other)
        client = docker.from_env()
        ports = [client.containers.get(one).ports for one in server.facts()["containers"]]
        client.close()
        assert {binding["HostIp"] for port in ports for bindings in port.values() for binding in bindings or []} == {
            "127.0.0.1"
        }
    assert images.containers() == before


def test_no_container_outlives_a_killed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, image in ENVIRONMENT.items():
        monkeypatch.setenv(variable, image)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        assert set(started) <= set(images.containers())
        process.kill()
    assert becomes_true(lambda: not set(started) & set(images.containers()))


def test_an_image_that_cannot_be_had_is_named_with_its_variable() -> None:
    before = images.containers()
    with (
        start_stack("docker", environ={**ENVIRONMENT, "MCP_STORAGE_POSTGREST_IMAGE": "no-such-image:0"}) as server,
        pytest.raises(StorageSetupError, match=r"no-such-image:0.*MCP_STORAGE_POSTGREST_IMAGE"),
    ):
        server.store()
    assert images.containers() == before


def test_the_real_cli_gives_up_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry does not exist. The command itself takes 93 s to report that."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUPABASE_INTERNAL_IMAGE_REGISTRY", "registry.invalid")
    with pytest.raises(StorageSetupError, match=r"can't pull registry\.invalid"):
        start_stack("cli", environ={})
