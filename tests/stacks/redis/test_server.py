"""A run's Redis server: how it is found, its settings, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError

from pytest_mcp_storage.harnesses.redis import RedisHarness
from pytest_mcp_storage.stacks.redis import native
from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import ConfigurationError, SessionData, StorageSetupError
from tests.stacks.supabase.test_native import becomes_true

NOTHING = {"PATH": "/nonexistent", "DOCKER_HOST": "tcp://127.0.0.1:1"}

SESSION = SessionData(
    session_id="s1", identity="alice", server_url="u", transport_type="sse", callback_url="c", created_at=0
)

HOLDER = """
import asyncio, json, os, sys, time
from pytest_mcp_storage.stacks.redis.server import redis_server
async def hold():
    async with redis_server(environ={"PATH": sys.argv[1]}) as server:
        fork = os.fork() if sys.argv[2:] else None
        if fork == 0:
            time.sleep(600)
        print(json.dumps([server.url, str(server.folder.parent), fork]), flush=True)
        sys.stdin.read()
asyncio.run(hold())
"""


async def test_a_server_of_our_own_is_private_and_leaves_nothing() -> None:
    async with redis_server(environ={"PATH": os.environ["PATH"]}, appendfsync="always") as server:
        assert server.owned
        assert server.folder is not None
        address = urlsplit(server.url)
        async with Redis.from_url(server.url) as client:
            assert await client.config_get("bind") == {"bind": "127.0.0.1"}
            assert await client.config_get("appendfsync") == {"appendfsync": "always"}
            await client.set("a", "written")
        async with Redis(host=address.hostname or "", port=address.port or 0, retry=Retry(NoBackoff(), 0)) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.get("a")
        assert b"written" in b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
        assert str(address.password) not in repr(server)
        assert (server.folder.parent / "server.conf").stat().st_mode & 0o777 == 0o600
    assert not server.folder.parent.exists()
    with pytest.raises(ConnectionRefusedError):
        await open_connection(server.url)


async def test_it_runs_where_the_temporary_folder_is_not_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="two words ", dir="/tmp") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        async with redis_server(environ={"PATH": os.environ["PATH"]}) as server:
            assert server.owned


async def test_a_node_of_a_cluster_starts_on_a_high_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the port of the cluster's bus is 10,000 higher, which can be above 65,535."""
    free, given = native.free_port, iter([60_743])
    monkeypatch.setattr(native, "free_port", lambda: next(given, None) or free())
    program = native.server_program()
    assert program is not None
    server = native.RedisProcess(tmp_path, None, program=str(program), settings={"cluster-enabled": "yes"})
    await server.start(None)
    await server.stop()


async def test_a_setting_that_the_server_refuses_is_reported_with_its_log() -> None:
    with pytest.raises(StorageSetupError, match=r"did not start: .*databases"):
        async with redis_server(environ={"PATH": os.environ["PATH"]}, settings={"databases": "none"}):
            pass


@pytest.mark.parametrize("forks", [(), ("fork",)], ids=["alone", "with a fork that lives on"])
async def test_nothing_outlives_a_killed_run(forks: tuple[str, ...]) -> None:
    """A fork keeps the pipe to the supervisor open."""
    with holder(*forks) as process:
        assert process.stdout is not None
        url, folder, fork = json.loads(process.stdout.readline())
        (await open_connection(url)).close()
        process.kill()
        process.wait()
        try:
            assert becomes_true(lambda: not Path(folder).exists())
        finally:
            if fork is not None:
                os.kill(fork, signal.SIGKILL)
    with pytest.raises(ConnectionRefusedError):
        await open_connection(url)


async def test_the_server_of_redis_url_keeps_what_is_not_the_harness_s(monkeypatch: pytest.MonkeyPatch) -> None:
    async with redis_server(environ={"PATH": os.environ["PATH"]}) as server, Redis.from_url(server.url) as client:
        await client.set("theirs", "1")
        monkeypatch.setenv("REDIS_URL", server.url)
        async with RedisHarness() as first, RedisHarness() as second:
            assert first.folder is None
            backend, other = await first.open(), await second.open()
            await backend.create_session(SESSION)
            assert await other.get_all_session_ids() == []
            await other.clear_all()
            assert await backend.get_all_session_ids() == ["s1"]
            await backend.disconnect()
            await other.disconnect()
            assert await client.dbsize() == 3
        assert await client.keys() == [b"theirs"]


@pytest.mark.parametrize(
    ("environ", "error", "remedy"),
    [
        ({"REDIS_URL": "redis://:secret@127.0.0.1:1"}, StorageSetupError, "answers at REDIS_URL"),
        ({"MCP_STORAGE_REDIS": "url"}, ConfigurationError, "REDIS_URL is not set"),
        ({"MCP_STORAGE_REDIS": "cloud"}, ConfigurationError, "url, native or docker"),
    ],
)
async def test_a_provider_that_does_not_work_is_an_error(
    environ: dict[str, str], error: type[Exception], remedy: str
) -> None:
    with pytest.raises(error, match=remedy) as raised:
        async with redis_server(environ=environ):
            pass
    assert "secret" not in str(raised.value)


async def test_without_a_server_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pytest_mcp_storage.stacks.redis.native.find_spec", lambda name: None
    )  # as if the wheel were not here
    monkeypatch.setenv("DOCKER_HOST", NOTHING["DOCKER_HOST"])
    for choice in ("native", "docker", ""):
        with pytest.raises(StorageSetupError, match=r"pytest-mcp-storage\[servers\]"):
            async with redis_server(environ={**NOTHING, "MCP_STORAGE_REDIS": choice}):
                pass


def holder(*forks: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, os.environ["PATH"], *forks]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def open_connection(url: str) -> asyncio.StreamWriter:
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    return writer
