"""Clients of every kind: decoding ones, in several loops, of a cluster."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis, RedisCluster

from pytest_mcp_storage.stacks.redis.endpoint import RedisServer
from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import (
    ConfigurationError,
    DecryptionError,
    SessionExistsError,
    StorageError,
    StorageSetupError,
)
from tests.reference_backends.forked import forked
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


async def test_a_loop_that_ends_takes_its_connections_along(client: Redis, opened: Open) -> None:
    backend = await opened(client)
    before = await client.client_list()

    def run_one_after_another() -> None:
        for _ in range(3):
            asyncio.run(backend.create_session(session(backend.generate_session_id())))

    await asyncio.to_thread(run_one_after_another)
    assert len(await client.client_list()) == len(before)
    assert len(backend._pool._by_loop) == 2  # this loop's, and the last one's until the next loop calls
    assert len(await backend.get_all_session_ids()) == 3


async def test_disconnect_closes_the_connections_of_every_loop(client: Redis, opened: Open) -> None:
    backend = await opened(client)
    before = await client.client_list()
    used, over = threading.Event(), threading.Event()

    async def work() -> None:
        await backend.create_session(session("there"))
        used.set()
        await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    await asyncio.to_thread(used.wait)
    assert len(await client.client_list()) == len(before) + 1
    await backend.disconnect()
    assert len(await client.client_list()) == len(before) - 1
    over.set()
    await asyncio.to_thread(thread.join)


async def test_a_loop_that_ends_meanwhile_does_not_cancel_disconnect(
    server: RedisServer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await opened(lambda: Redis.from_url(server.url))
    used, over = threading.Event(), threading.Event()

    async def work() -> None:
        await backend.create_session(session("there"))
        connection = backend._pool.connection()
        close = connection.close

        async def close_slowly() -> None:
            over.set()
            try:
                await asyncio.sleep(60)
            finally:
                await close()

        monkeypatch.setattr(connection, "close", close_slowly)
        used.set()
        await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    await asyncio.to_thread(used.wait)
    await backend.disconnect()
    await asyncio.to_thread(thread.join)


async def test_a_child_leaves_its_parents_connections_alone(client: Redis, opened: Open) -> None:
    backend = await opened(client, timeout=60)
    await backend.create_session(session())

    async def begin_anew() -> None:
        with pytest.raises(StorageError, match="forked"):
            await backend.get_session("alice", "s1")
        await backend.disconnect()
        await backend.init()
        assert await backend.get_session("alice", "s1") == session()
        await backend.disconnect()
        gc.collect()

    child = forked(begin_anew)
    assert os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, child, 0))[1]) == 0
    assert await backend.get_session("alice", "s1") == session()


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


@dataclass
class Cluster:
    """Two nodes, each with half of the slots: they refuse a call whose keys are in two slots."""

    port: int
    nodes: list[Redis]

    async def sizes(self) -> list[int]:
        return [await node.dbsize() for node in self.nodes]

    async def connections(self) -> int:
        """Return the number of connected clients, without the test's own."""
        return sum([len(await node.client_list(_type="normal")) for node in self.nodes]) - len(self.nodes)


@pytest.fixture
async def cluster(free_ports: list[int]) -> AsyncIterator[Cluster]:
    settings = [
        {"cluster-enabled": "yes", "cluster-port": str(port), "cluster-node-timeout": "2000"} for port in free_ports
    ]
    async with redis_server(settings=settings[0]) as one, redis_server(settings=settings[1]) as two:
        ports = [urlsplit(server.url).port or 0 for server in (one, two)]
        nodes = [Redis.from_url(server.url, single_connection_client=True) for server in (one, two)]
        # The client signs in to all nodes alike.
        for node in nodes:
            await node.config_set("requirepass", "")
        for node, slots in zip(nodes, (range(8192), range(8192, 16384)), strict=True):
            await ask(node, "CLUSTER ADDSLOTS", *slots)
        await ask(nodes[0], "CLUSTER MEET", "127.0.0.1", ports[1], free_ports[1])
        async with asyncio.timeout(60):
            for node in nodes:
                while (await ask(node, "CLUSTER INFO"))["cluster_state"] != "ok":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        yield Cluster(ports[0], nodes)
        for node in nodes:
            await node.aclose()


@pytest.mark.parametrize("decoding", [False, True])
async def test_it_works_on_a_cluster(cluster: Cluster, opened: Open, decoding: bool) -> None:
    client = RedisCluster(host="127.0.0.1", port=cluster.port, decode_responses=decoding)
    backend = await opened(client, encryption_key=KEY)
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
    assert all(await cluster.sizes())
    assert await backend.get_all_session_ids() == ["s1"] * 20
    await backend.cleanup_expired_sessions()
    await backend.clear_all()
    assert await cluster.sizes() == [0, 0]
    await client.aclose()


async def test_a_plain_client_of_a_cluster_is_refused_at_the_start(cluster: Cluster, opened: Open) -> None:
    """It would list, clear and clean up the sessions of one node only."""
    with pytest.raises(StorageSetupError, match=r"RedisCluster"):
        await opened(Redis(port=cluster.port))


async def test_a_decoding_cluster_shows_nothing_that_it_can_not_decode(cluster: Cluster, opened: Open) -> None:
    async with RedisCluster(host="127.0.0.1", port=cluster.port, decode_responses=True) as client:
        backend = await opened(client, encryption_key=KEY)
        await backend.create_session(session(tokens={"a": "b"}))
        await client.hset("mcp-storage:{alice}:session:s1", "tokens", b"secret\xff")
        with pytest.raises(DecryptionError, match="tokens of session 's1'") as raised:
            await backend.get_session("alice", "s1")
        assert "secret" not in "".join(traceback.format_exception(raised.value))


async def test_a_cluster_client_that_was_lent_stays_open(cluster: Cluster, opened: Open) -> None:
    async with RedisCluster(host="127.0.0.1", port=cluster.port) as client:
        backend = await opened(client)
        before = await cluster.connections()
        await backend.disconnect()
        assert await cluster.connections() == before
        await backend.init()
    assert await cluster.connections() == 0


async def test_a_cluster_client_that_a_function_made_is_closed(cluster: Cluster, opened: Open) -> None:
    backend = await opened(lambda: RedisCluster(host="127.0.0.1", port=cluster.port))
    await asyncio.to_thread(asyncio.run, backend.create_session(session()))
    assert await backend.get_all_session_ids() == ["s1"]
    await backend.disconnect()
    assert await cluster.connections() == 0


@pytest.fixture
def free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], two.getsockname()[1]]
