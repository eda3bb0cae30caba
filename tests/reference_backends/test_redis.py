"""What the Redis store does beyond the contract's clauses: its keys, its round trips, its errors, its loops."""

from __future__ import annotations

import asyncio
import socket
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pytest_mcp_storage.faults import Fault, FaultProxy
from pytest_mcp_storage.stacks.redis import RedisServer, redis_server
from reference_backends import (
    ConfigurationError,
    DecryptionError,
    RedisStorageBackend,
    SessionData,
    SessionExistsError,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)
from reference_backends import redis_layout as layout
from reference_backends import redis_scripts as scripts
from reference_backends.redis import SLACK_MS
from reference_backends.redis_link import ServerLink

KEY = "5e" * 32
AT_ONCE = Retry(NoBackoff(), 0)
NASTY = ["a", "a:b", "{a}", "}", "*", "a%3Ab", "\\", "é", "e\u0301", "\U0001f600", " ", "a" * 255]


def session(session_id: str = "s1", identity: str = "alice", **fields: Any) -> SessionData:
    plain = {"server_url": "u", "transport_type": "sse", "callback_url": "c", "created_at": 0}
    return SessionData(session_id=session_id, identity=identity, **{**plain, **fields})


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with redis_server(appendfsync="no") as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url, retry=AT_ONCE) as client:
        yield client


Open = Callable[..., Awaitable[RedisStorageBackend]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens handles, and closes them at the end of the test."""
    handles: list[RedisStorageBackend] = []

    async def open_handle(client: Any, **options: Any) -> RedisStorageBackend:
        handles.append(RedisStorageBackend(client, **options))
        await handles[-1].init()
        return handles[-1]

    yield open_handle
    for handle in handles:
        await handle.disconnect()


@pytest.fixture
async def backend(client: Redis, opened: Open) -> RedisStorageBackend:
    return await opened(client, encryption_key=KEY)


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[FaultProxy]:
    address = urlsplit(server.url)
    async with FaultProxy((address.hostname or "", address.port or 0)) as proxy:
        yield proxy


@asynccontextmanager
async def through(proxy: FaultProxy, server: RedisServer, **options: Any) -> AsyncIterator[RedisStorageBackend]:
    """A handle whose client tries again, as redis-py does by default, and waits for ever."""
    password = urlsplit(server.url).password
    client = Redis(host=proxy.host, port=proxy.port, password=password, socket_timeout=None)
    backend = RedisStorageBackend(client, **options)
    await backend.init()
    yield backend
    await backend.disconnect()


async def ask(client: Redis, *command: str | int) -> Any:
    """A command that redis-py has no method for."""
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]


# -- keys -------------------------------------------------------------------------------------------------------------


def test_no_two_sessions_share_a_key() -> None:
    keys = layout.Keys("p")
    pairs = [(identity, name) for identity in NASTY for name in NASTY]
    hashes = {keys.session(identity, layout.member(name)) for identity, name in pairs}
    assert len(hashes | {keys.index(identity) for identity in NASTY}) == len(pairs) + len(NASTY)
    for identity, name in pairs:
        assert layout.session_id(layout.member(name)) == name
        assert layout.index_beside(keys.session(identity, layout.member(name))) == keys.index(identity)


@pytest.mark.parametrize("prefix", ["", "a b", "{a", "a}"])
def test_a_prefix_that_breaks_the_hash_tag_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisStorageBackend(Redis(), prefix=prefix)


async def test_stores_of_other_prefixes_and_other_data_are_left_alone(client: Redis, opened: Open) -> None:
    await client.set("mcp-storage", "theirs")
    await client.set("mcp-storageX:{alice}:sessions", "theirs")
    handles = [await opened(client, prefix=prefix) for prefix in ("a*", "ab", "a[b]")]
    for handle in handles:
        await handle.create_session(session())
    await handles[0].clear_all()
    assert [await handle.get_all_session_ids() for handle in handles] == [[], ["s1"], ["s1"]]
    for handle in handles:
        await handle.clear_all()
    assert sorted(await client.keys()) == [b"mcp-storage", b"mcp-storageX:{alice}:sessions"]


# -- round trips ------------------------------------------------------------------------------------------------------


async def test_every_call_on_one_identity_is_one_round_trip(server: RedisServer, proxy: FaultProxy) -> None:
    async with through(proxy, server, encryption_key=KEY) as backend:
        calls: list[Callable[[str], Awaitable[object]]] = [
            lambda name: backend.create_session(session(name)),
            lambda name: backend.update_session("alice", name, {"active": True, "server_id": None}),
            lambda name: backend.get_session("alice", name),
            lambda name: backend.get_identity_sessions_data("alice"),
            lambda name: backend.get_identity_mcp_sessions("alice"),
            lambda name: backend.remove_session("alice", name),
        ]
        for call in calls:
            await call("known")  # the server knows the script from now on
        for call in calls:
            before = proxy.requests
            await call("s1")
            assert proxy.requests == before + 1


async def test_a_server_that_forgot_the_scripts_is_told_them_again(client: Redis, backend: RedisStorageBackend) -> None:
    await backend.create_session(session("s1"))
    await client.script_flush()
    await backend.create_session(session("s2"))
    assert sorted(await backend.get_identity_mcp_sessions("alice")) == ["s1", "s2"]


async def test_nothing_is_sent_twice(server: RedisServer, proxy: FaultProxy) -> None:
    async with through(proxy, server) as backend:
        await backend.create_session(session("s1"))
        before = proxy.requests
        async with proxy.fault(Fault.DROP_ANSWER):
            with pytest.raises(StorageUnavailableError, match="may or may not"):
                await backend.create_session(session("s2"))
        assert proxy.requests == before + 1
        assert sorted(await backend.get_identity_mcp_sessions("alice")) == ["s1", "s2"]


# -- outages ----------------------------------------------------------------------------------------------------------


async def test_a_server_that_answers_nothing_is_reported(server: RedisServer, proxy: FaultProxy) -> None:
    async with through(proxy, server) as patient, through(proxy, server) as hasty:
        await patient.create_session(session())
        link = hasty._link()
        assert isinstance(link, ServerLink)
        assert link._limit < 10
        link._limit = 0.1  # from here on: a busy machine is slow to start
        async with proxy.fault(Fault.SWALLOW_REQUEST), asyncio.timeout(60):
            with pytest.raises(StorageUnavailableError, match="did not answer in time"):
                await hasty.get_session("alice", "s1")
        assert await patient.get_session("alice", "s1") == session()


async def test_idle_connections_that_were_reset_are_replaced(server: RedisServer, proxy: FaultProxy) -> None:
    async with through(proxy, server) as backend:
        await asyncio.gather(*(backend.get_session("alice", "s1") for _ in range(8)))
        async with proxy.fault(Fault.REFUSE):
            with pytest.raises(StorageUnavailableError, match="can't be reached"):
                await backend.get_session("alice", "s1")
        assert await asyncio.gather(*(backend.get_session("alice", "s1") for _ in range(8))) == [None] * 8


async def test_a_late_answer_never_meets_the_next_question(server: RedisServer, proxy: FaultProxy) -> None:
    async with through(proxy, server) as backend:
        await backend.create_session(session())
        proxy.delay = 0.05
        call = asyncio.ensure_future(backend.get_session("alice", "s1"))
        while not proxy.requests:  # noqa: ASYNC110
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        proxy.delay = 0.0
        assert await backend.get_identity_mcp_sessions("bob") == []


async def test_more_callers_than_connections_wait_in_line(server: RedisServer, opened: Open) -> None:
    for client in (
        Redis.from_url(server.url, max_connections=2),
        Redis(connection_pool=BlockingConnectionPool.from_url(server.url, max_connections=2)),
    ):
        backend = await opened(client)
        assert await asyncio.gather(*(backend.get_session("alice", "s1") for _ in range(50))) == [None] * 50


# -- errors -----------------------------------------------------------------------------------------------------------


async def test_refusals_are_told_with_a_remedy(client: Redis, backend: RedisStorageBackend) -> None:
    await client.set("mcp-storage:{bob}:session:s1", "theirs")
    with pytest.raises(StorageSetupError, match=r"prefix.*WRONGTYPE"):
        await backend.create_session(session(identity="bob"))
    await client.config_set("maxmemory", 1)
    with pytest.raises(StorageSetupError, match=r"maxmemory.*OOM"):
        await backend.create_session(session())
    await client.config_set("maxmemory", 0)
    await ask(client, "REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StorageUnavailableError, match=r"primary.*READONLY"):
        await backend.create_session(session())
    await ask(client, "REPLICAOF", "NO", "ONE")
    await backend.create_session(session())


async def test_a_user_without_rights_is_told_so(server: RedisServer, client: Redis, opened: Open) -> None:
    await client.acl_setuser("app", enabled=True, passwords=["+secret"], categories=["+@all"], keys=["other*"])
    port = urlsplit(server.url).port or 0
    backend = await opened(Redis(port=port, username="app", password="secret"))
    with pytest.raises(StorageSetupError, match="NOPERM"):
        await backend.create_session(session())


@pytest.mark.parametrize("password", [None, "hunter2-secret"])
async def test_a_wrong_password_is_a_configuration_error_that_hides_it(
    server: RedisServer, password: str | None
) -> None:
    port = urlsplit(server.url).port or 0
    backend = RedisStorageBackend(Redis(port=port, password=password, retry=AT_ONCE))
    with pytest.raises(ConfigurationError, match="user name and password") as raised:
        await backend.init()
    assert "secret" not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__context__ is None
    await backend.disconnect()


async def test_what_is_no_redis_is_told_so() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        backend = RedisStorageBackend(Redis(port=listening.sockets[0].getsockname()[1], retry=AT_ONCE))
        with pytest.raises(StorageSetupError, match="does not speak"):
            await backend.init()
        await backend.disconnect()


async def test_what_is_no_client_is_refused() -> None:
    backend = RedisStorageBackend(lambda: object())  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio"):
        await backend.init()


# -- expiry -----------------------------------------------------------------------------------------------------------


async def test_the_server_itself_drops_a_session_only_after_the_real_clock_has(
    client: Redis, backend: RedisStorageBackend
) -> None:
    await backend.create_session(session("s1"), ttl=1000)
    await backend.create_session(session("s2"), ttl=10)
    for key, ttl in (("session:s1", 1000), ("session:s2", 10), ("sessions", 1000)):
        left = await client.pttl(f"mcp-storage:{{alice}}:{key}")
        assert abs(ttl * 1000 + SLACK_MS - left) < 60_000
    await backend.update_session("alice", "s2", {}, ttl=5000)
    assert await client.pttl("mcp-storage:{alice}:sessions") > 4_900_000 + SLACK_MS


async def test_with_an_injected_clock_no_native_timer_ends_a_session(client: Redis, opened: Open) -> None:
    real = await opened(client)
    injected = await opened(client, clock=lambda: 1_000_000.0)
    keys = ["mcp-storage:{alice}:session:s1", "mcp-storage:{alice}:sessions"]
    await real.create_session(session(), ttl=3_000_000_000)
    assert all([await client.pttl(key) > 0 for key in keys])
    await injected.update_session("alice", "s1", {})
    assert [await client.pttl(key) for key in keys] == [-1, -1]
    await real.create_session(session("s2"), ttl=10)  # the index holds a session of the injected clock's
    assert await client.pttl(keys[1]) == -1
    assert await injected.get_session("alice", "s1") == session()


async def test_a_new_session_sweeps_out_index_entries_that_long_expired(
    client: Redis, backend: RedisStorageBackend
) -> None:
    await backend.create_session(session("s1"))
    await client.zadd("mcp-storage:{alice}:sessions", {"old": 1000})
    await backend.create_session(session("s2"))
    assert await client.zrange("mcp-storage:{alice}:sessions", 0, -1) == [b"s1", b"s2"]


# -- what lies there --------------------------------------------------------------------------------------------------


async def test_an_update_seals_what_was_written_without_a_key(
    client: Redis, backend: RedisStorageBackend, opened: Open
) -> None:
    plain = await opened(client)
    secrets: dict[str, Any] = {
        "tokens": {"a": "t-secret"},
        "headers": {"h": "h-secret"},
        "code_verifier": "v-secret",
        "client_information": {"client_secret": "c-secret", "id": 1},
    }
    await plain.create_session(session(**secrets))
    await backend.update_session("alice", "s1", {"server_name": "n"})
    held = await client.hgetall("mcp-storage:{alice}:session:s1")
    assert "secret" not in str(held).replace("client_secret", "")
    assert await backend.get_session("alice", "s1") == session(server_name="n", **secrets)
    await plain.update_session("alice", "s1", {"code_verifier": "w-secret"})
    await backend.update_session("alice", "s1", {})
    assert b"w-secret" not in (await client.hgetall("mcp-storage:{alice}:session:s1")).values()


async def test_sealing_gives_way_to_a_write_that_came_first(client: Redis) -> None:
    key = "mcp-storage:{alice}:session:s1"
    await client.hset(key, "tokens", '{"a":"new"}')
    swaps = ["tokens", '={"a":"old"}', "enc:1:…", "headers", "", ""]
    assert await client.eval(scripts.SEAL.source.decode(), 1, key, *swaps) == 0
    assert await client.hgetall(key) == {b"tokens": b'{"a":"new"}'}


@pytest.mark.parametrize("planted", [b"a\0b", b'"{}"', b"\xff", b"{", b'{"a":', b"null", b"[]"])
async def test_planted_secrets_are_undecipherable(client: Redis, backend: RedisStorageBackend, planted: bytes) -> None:
    await backend.create_session(session("s1", tokens={"a": "b"}))
    await backend.create_session(session("s2", tokens={"a": "b"}))
    await client.hset("mcp-storage:{alice}:session:s1", "tokens", planted)
    with pytest.raises(DecryptionError) as raised:
        await backend.get_session("alice", "s1")
    assert raised.value.session_id == "s1"
    with pytest.raises(DecryptionError):
        await backend.get_identity_sessions_data("alice")
    assert await backend.get_session("alice", "s2") == session("s2", tokens={"a": "b"})


async def test_a_nul_smuggles_no_field_in(client: Redis, backend: RedisStorageBackend) -> None:
    await backend.create_session(session(tokens={"a": "b"}))
    key = "mcp-storage:{alice}:session:s1"
    envelope = (await client.hgetall(key))[b"tokens"]
    assert isinstance(envelope, bytes)
    await client.hset(key, "tokens", envelope + b"\0server_url\0evil")
    with pytest.raises(DecryptionError):
        await backend.get_session("alice", "s1")


@pytest.mark.parametrize(("field", "planted"), [("created_at", b"x"), ("active", b"{"), ("server_url", b"\xff")])
async def test_a_damaged_hash_is_a_storage_error(
    client: Redis, backend: RedisStorageBackend, field: str, planted: bytes
) -> None:
    await backend.create_session(session())
    await client.hset("mcp-storage:{alice}:session:s1", field, planted)
    with pytest.raises(StorageError, match="damaged"):
        await backend.get_session("alice", "s1")


async def test_clear_all_and_cleanup_work_on_two_hundred_thousand_sessions(
    client: Redis, backend: RedisStorageBackend
) -> None:
    """Half of them of one identity, and one in a hundred expired."""
    plant = """
        for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
          local ends = i % 100 == 0 and 1000 or 9999999999999
          for _, session in ipairs({{'many', i}, {i, 's'}}) do
            redis.call('HSET', 'mcp-storage:{' .. session[1] .. '}:session:' .. session[2], 'expires_at', ends)
            redis.call('ZADD', 'mcp-storage:{' .. session[1] .. '}:sessions', ends, session[2])
          end
        end
    """
    for start in range(0, 100_000, 10_000):
        await client.eval(plant, 0, str(start + 1), str(start + 10_000))
    await client.hset("mcp-storage:{lost}:session:of-no-index", "expires_at", "9999999999999")
    await backend.cleanup_expired_sessions()
    assert await client.dbsize() == 99_000 + 1 + 2 * 99_000 + 1
    assert len(await backend.get_all_session_ids()) == 198_000
    await backend.clear_all()
    assert await client.dbsize() == 0


# -- clients ----------------------------------------------------------------------------------------------------------


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
