"""One round trip for each call, nothing sent twice, and the errors."""

from __future__ import annotations

import asyncio
import ssl
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from pytest_mcp_storage.faults import Fault, FaultProxy
from pytest_mcp_storage.stacks.redis.endpoint import RedisServer
from reference_backends import (
    ConfigurationError,
    RedisStorageBackend,
    SessionData,
    StorageSetupError,
    StorageUnavailableError,
)
from reference_backends.redis.connection import ServerConnection
from tests.reference_backends.redis.conftest import AT_ONCE, KEY, Open, ask, session, through


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


async def test_scripts_are_sent_again_to_a_server_that_lost_them(client: Redis, backend: RedisStorageBackend) -> None:
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


async def test_a_server_that_answers_nothing_is_reported(server: RedisServer, proxy: FaultProxy) -> None:
    async with through(proxy, server) as patient, through(proxy, server) as hasty:
        await patient.create_session(session())
        connection = hasty._pool.connection()
        assert isinstance(connection, ServerConnection)
        assert connection._limit < 10
        connection._limit = 0.1  # start the clock here, because a busy machine is slow to start
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


async def test_what_waits_at_one_moment_is_sent_together(client: Redis, opened: Open) -> None:
    backend = await opened(client)
    before = len(await client.client_list())
    names = [f"s{place}" for place in range(300)]
    await asyncio.gather(*(backend.create_session(session(name)) for name in names))
    for _ in range(3):
        read = await asyncio.gather(*(backend.get_session("alice", name) for name in names))
        assert [each and each.session_id for each in read] == names
    assert len(await client.client_list()) <= before + 2


async def test_a_caller_among_many_that_gives_up_disturbs_no_other(server: RedisServer, proxy: FaultProxy) -> None:
    async with through(proxy, server) as backend:
        names = [f"s{place}" for place in range(40)]
        await asyncio.gather(*(backend.create_session(session(name)) for name in names))
        for turns in (0, 1, 2, 3, 5, 8, 30):
            proxy.delay = 0.02
            calls = [asyncio.create_task(backend.get_session("alice", name)) for name in names]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
            assert [each.session_id for each in answers[1::2] if isinstance(each, SessionData)] == names[1::2]
            proxy.delay = 0.0
            assert await backend.get_session("bob", "s1") is None


async def test_a_refusal_among_many_reaches_its_caller_alone(client: Redis, opened: Open) -> None:
    backend = await opened(client)
    await client.set("mcp-storage:{bob}:session:s1", "redis_exceptions")
    await client.script_flush()  # the first callers load the script again
    calls = [backend.create_session(session(identity=name)) for name in ("alice", "bob", "carol", "alice")]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == [
        "NoneType", "StorageSetupError", "NoneType", "SessionExistsError"
    ]  # fmt: skip


async def test_nothing_is_sent_twice_if_many_lose_their_answers(server: RedisServer, proxy: FaultProxy) -> None:
    async with through(proxy, server) as backend:
        await asyncio.gather(*(backend.create_session(session(f"a{place}")) for place in range(20)))
        before = await backend.get_all_session_ids()
        async with proxy.fault(Fault.DROP_ANSWER):
            calls = [backend.update_session("alice", name, {"active": True}) for name in before]
            answers = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(answer, StorageUnavailableError) for answer in answers)
        assert all("may or may not" in str(answer) or "can't be reached" in str(answer) for answer in answers)
        assert sorted(await backend.get_all_session_ids()) == sorted(before)


async def test_more_callers_than_connections_wait_in_line(server: RedisServer, opened: Open) -> None:
    for client in (
        Redis.from_url(server.url, max_connections=2),
        Redis(connection_pool=BlockingConnectionPool.from_url(server.url, max_connections=2)),
    ):
        backend = await opened(client)
        assert await asyncio.gather(*(backend.get_session("alice", "s1") for _ in range(50))) == [None] * 50


async def test_errors_of_the_server_say_what_to_do(client: Redis, backend: RedisStorageBackend) -> None:
    await client.set("mcp-storage:{bob}:session:s1", "redis_exceptions")
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


async def test_too_many_clients_is_an_error_that_says_what_to_do(client: Redis, opened: Open) -> None:
    crowd = [await opened(client) for _ in range(20)]
    await client.config_set("maxclients", 2)
    await ask(client, "CLIENT KILL", "TYPE", "normal")
    answers = await asyncio.gather(*(each.get_session("alice", "s1") for each in crowd), return_exceptions=True)
    refused = [answer for answer in answers if answer is not None]
    assert all(isinstance(error, StorageUnavailableError) for error in refused)
    assert "raise maxclients" in str(refused)  # for some clients a reset may arrive before the server's message
    await client.config_set("maxclients", 100)


@pytest.mark.parametrize(
    "rights", ["~other* +@all", "~mcp-storage:* +@all -@scripting", "~mcp-storage:* +ping +evalsha"]
)
async def test_a_user_without_rights_is_reported_by_init(server: RedisServer, client: Redis, rights: str) -> None:
    await ask(client, "ACL SETUSER", "app", "on", ">secret", *rights.split())
    backend = RedisStorageBackend(Redis(port=urlsplit(server.url).port or 0, username="app", password="secret"))
    with pytest.raises(StorageSetupError, match="NOPERM"):
        await backend.init()
    await backend.disconnect()


async def test_a_replica_is_reported_by_init(client: Redis, opened: Open) -> None:
    await ask(client, "REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StorageUnavailableError, match="primary"):
        await opened(client)
    await ask(client, "REPLICAOF", "NO", "ONE")
    await opened(client)


async def test_a_user_without_the_right_to_hello_can_use_the_store(
    server: RedisServer, client: Redis, opened: Open
) -> None:
    await ask(client, "ACL SETUSER", "app", "on", ">secret", "~mcp-storage:*", "+@all", "-hello")
    url = f"redis://app:secret@127.0.0.1:{urlsplit(server.url).port}?protocol=2"
    backend = await opened(Redis.from_url(url))
    await backend.create_session(session())


@pytest.mark.parametrize("protocol", [2, 3])
async def test_an_outage_names_the_server_also_if_a_function_makes_the_client(protocol: int) -> None:
    url = f"redis://:hunter2@127.0.0.1:1/0?protocol={protocol}"
    backend = RedisStorageBackend(lambda: Redis.from_url(url, retry=AT_ONCE))
    with pytest.raises(StorageUnavailableError, match=r"127\.0\.0\.1:1 can't be reached: nothing listens"):
        await backend.init()


async def test_a_certificate_that_is_not_trusted_is_reported(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        backend = RedisStorageBackend(Redis(host="127.0.0.1", port=port, ssl=True, retry=AT_ONCE))
        with pytest.raises(StorageUnavailableError, match="certificate") as raised:
            await backend.init()
    assert raised.value.__context__ is None


async def test_the_callers_own_exception_is_not_reported_as_the_cause(proxy: FaultProxy, server: RedisServer) -> None:
    async with through(proxy, server) as backend, proxy.fault(Fault.DROP_ANSWER):
        try:
            raise ConnectionRefusedError
        except ConnectionRefusedError:
            with pytest.raises(StorageUnavailableError, match="may or may not"):
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


async def test_a_server_that_is_not_redis_is_reported() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        backend = RedisStorageBackend(Redis(port=listening.sockets[0].getsockname()[1], retry=AT_ONCE))
        with pytest.raises(StorageSetupError, match="does not use the Redis protocol"):
            await backend.init()
        await backend.disconnect()


async def test_what_is_no_client_is_refused() -> None:
    backend = RedisStorageBackend(lambda: object())  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio"):
        await backend.init()
