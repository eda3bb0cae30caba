"""Clients of every kind: decoding ones, in several loops, of a cluster."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis, RedisCluster

from pytest_mcp_storage.stacks.redis import RedisServer, redis_server
from reference_backends import (
    ConfigurationError,
    RedisStorageBackend,
    SessionExistsError,
)
from tests.reference_backends.redis.conftest import KEY, Open, ask, session


async def test_a_client_that_decodes_does_as_well(server: RedisServer, opened: Open) -> None:
    backend = await opened(Redis.from_url(server.url, decode_responses=True, encoding="latin-1"))
    whole = session("é", "\U0001f600", server_name="ü", tokens={"ö": "ä"})
    await backend.create_session(whole)
    assert await backend.get_identity_sessions_data("\U0001f600") == [whole]
    assert await backend.get_all_session_ids() == ["é"]


@pytest.mark.parametrize("as_function", [False, True])
async def test_several_loops_use_one_handle(server: RedisServer, opened: Open, as_function: bool) -> None:
    source: Any = (lambda: Redis.from_url(server.url)) if as_function else Redis.from_url(server.url)
    backend = await opened(source)
    problems: list[BaseException] = []

    async def work(name: str) -> None:
        for place in range(20):
            await backend.create_session(session(f"{name}{place}"))
        await asyncio.gather(*(backend.get_session("alice", f"{name}{place}") for place in range(20)))
        await backend._links[asyncio.get_running_loop()].close()

    def run(name: str) -> None:
        try:
            asyncio.run(work(name))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    await work("c")
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert problems == []
    assert len(await backend.get_all_session_ids()) == 60


async def test_two_handles_of_one_client_do_not_disturb_each_other(client: Redis, opened: Open) -> None:
    first, second = await opened(client), await opened(client)

    async def read() -> None:
        for _ in range(200):
            assert await second.get_session("alice", "s1") is None

    async def come_and_go() -> None:
        for _ in range(50):
            await first.disconnect()
            await first.init()

    await asyncio.gather(read(), read(), come_and_go())


async def test_it_works_on_a_cluster(free_ports: list[int]) -> None:
    """Two nodes, each with half of the slots: a call whose keys lie in two slots would be refused."""
    settings = [
        {"cluster-enabled": "yes", "cluster-port": str(port), "cluster-node-timeout": "2000"} for port in free_ports
    ]
    async with redis_server(settings=settings[0]) as one, redis_server(settings=settings[1]) as two:
        ports = [urlsplit(server.url).port or 0 for server in (one, two)]
        clients = [Redis.from_url(server.url) for server in (one, two)]
        # The client signs in to all nodes alike.
        for client in clients:
            await client.config_set("requirepass", "")
        for client, slots in zip(clients, (range(8192), range(8192, 16384)), strict=True):
            await ask(client, "CLUSTER ADDSLOTS", *slots)
        await ask(clients[0], "CLUSTER MEET", "127.0.0.1", ports[1], free_ports[1])
        async with asyncio.timeout(60):
            for client in clients:
                while (await ask(client, "CLUSTER INFO"))["cluster_state"] != "ok":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        backend = RedisStorageBackend(RedisCluster(host="127.0.0.1", port=ports[0]), encryption_key=KEY)
        await backend.init()
        identities = [f"user{place}" for place in range(20)]
        for identity in identities:
            await backend.create_session(session("s1", identity, tokens={"a": "b"}))
            await backend.create_session(session("s2", identity), ttl=100)
            await backend.update_session(identity, "s1", {"active": True})
            with pytest.raises(SessionExistsError):
                await backend.create_session(session("s1", identity))
            assert len(await backend.get_identity_sessions_data(identity)) == 2
            await backend.remove_session(identity, "s2")
            assert await backend.get_session(identity, "s1") == session("s1", identity, tokens={"a": "b"}, active=True)
        with pytest.raises(ConfigurationError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, backend.get_session("user1", "s1"))
        sizes = [await client.dbsize() for client in clients]
        assert all(sizes)
        assert await backend.get_all_session_ids() == ["s1"] * 20
        await backend.cleanup_expired_sessions()
        await backend.clear_all()
        assert [await client.dbsize() for client in clients] == [0, 0]
        await backend.disconnect()
        for client in clients:
            await client.aclose()


@pytest.fixture
def free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], two.getsockname()[1]]
