"""Each fault, as seen by a client and a server that send and answer lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress

import pytest

from pytest_mcp_storage.faults import Fault, FaultProxy


class Server:
    """Answers each line with its own, and remembers what came."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.talks = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks += 1
        with suppress(ConnectionError):
            while line := await reader.readline():
                self.came.append(line)
                writer.write(b"re " + line)
        writer.transport.abort()
        self.talks -= 1


class Client:
    """Asks lines through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, line: bytes) -> None:
        self.writer.write(line)

    async def ask(self, line: bytes) -> bytes:
        self.send(line)
        return await self.reader.readline()


class Scene:
    """A server, the proxy in front of it, and as many clients as are wanted."""

    def __init__(self, server: Server, proxy: FaultProxy) -> None:
        self.server, self.proxy = server, proxy
        self.stack = AsyncExitStack()

    async def client(self) -> Client:
        reader, writer = await asyncio.open_connection(self.proxy.host, self.proxy.port)
        self.stack.callback(writer.close)
        return Client(reader, writer)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening, FaultProxy(listening.sockets[0].getsockname()[:2]) as proxy:
        scene = Scene(server, proxy)
        async with scene.stack:
            yield scene
        await until(lambda: not server.talks)


async def until(true: Callable[[], bool]) -> None:
    """Wait until the loop has reached this point."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 -- the proxy says nothing when it arrives
            await asyncio.sleep(0.001)


async def test_without_a_fault_everything_passes(scene: Scene) -> None:
    client = await scene.client()
    assert await client.ask(b"one\n") == b"re one\n"
    long = b"x" * 50_000 + b"\n"
    assert await client.ask(long) == b"re " + long
    assert scene.proxy.requests == 2


async def test_refused_connections_come_back_on_the_same_port(scene: Scene) -> None:
    client = await scene.client()
    await client.ask(b"one\n")
    async with scene.proxy.fault(Fault.REFUSE):
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        with pytest.raises(ConnectionRefusedError):
            await scene.client()
    assert await (await scene.client()).ask(b"two\n") == b"re two\n"


async def test_a_dropped_request_never_arrives(scene: Scene) -> None:
    client = await scene.client()
    async with scene.proxy.fault(Fault.DROP_REQUEST):
        with pytest.raises(ConnectionResetError):
            await client.ask(b"lost\n")
    assert await (await scene.client()).ask(b"next\n") == b"re next\n"
    assert scene.server.came == [b"next\n"]


async def test_of_a_dropped_answer_the_request_arrived(scene: Scene) -> None:
    client = await scene.client()
    await client.ask(b"before\n")
    async with scene.proxy.fault(Fault.DROP_ANSWER):
        with pytest.raises(ConnectionResetError):
            await client.ask(b"done\n")
    assert scene.server.came == [b"before\n", b"done\n"]


@pytest.mark.parametrize(("fault", "came"), [(Fault.SWALLOW_REQUEST, []), (Fault.SWALLOW_ANSWER, [b"lost\n"])])
async def test_what_is_swallowed_is_not_answered_until_it_is_healed(
    scene: Scene, fault: Fault, came: list[bytes]
) -> None:
    client = await scene.client()
    await scene.proxy.inject(fault)
    client.send(b"lost\n")
    if came:
        await until(lambda: len(scene.server.came) == 1)
    other = await scene.client()
    other.send(b"also lost\n")
    await until(lambda: scene.proxy.requests == 2)
    assert not client.reader._buffer  # type: ignore[attr-defined]
    assert not client.reader.at_eof()
    assert scene.server.came[:1] == came
    await scene.proxy.heal()
    with pytest.raises(ConnectionResetError):
        await client.reader.readline()
    assert await (await scene.client()).ask(b"next\n") == b"re next\n"


async def test_a_fault_may_let_requests_pass_first(scene: Scene) -> None:
    client = await scene.client()
    async with scene.proxy.fault(Fault.DROP_REQUEST, after=2):
        assert await client.ask(b"one\n") == b"re one\n"
        assert await client.ask(b"two\n") == b"re two\n"
        with pytest.raises(ConnectionResetError):
            await client.ask(b"three\n")


async def test_what_is_exempt_passes_unchanged(scene: Scene) -> None:
    scene.proxy.exempt = lambda request: request.startswith(b"sign in")
    async with scene.proxy.fault(Fault.DROP_REQUEST, after=1):
        client = await scene.client()
        assert await client.ask(b"sign in\n") == b"re sign in\n"
        assert await client.ask(b"one\n") == b"re one\n"
        with pytest.raises(ConnectionResetError):
            await client.ask(b"two\n")


async def test_a_fault_reaches_an_answer_that_is_being_sent(scene: Scene) -> None:
    scene.proxy.delay = 0.05
    client = await scene.client()
    client.send(b"done\n")
    await until(lambda: scene.proxy.requests == 1)
    async with scene.proxy.fault(Fault.DROP_ANSWER):
        with pytest.raises(ConnectionResetError):
            await client.reader.readline()
    assert scene.server.came == [b"done\n"]


async def test_delayed_requests_keep_their_order_and_outlive_their_client(scene: Scene) -> None:
    scene.proxy.delay = 0.05
    client = await scene.client()
    client.send(b"one\n")
    await until(lambda: scene.proxy.requests == 1)
    scene.proxy.delay = 0.0
    client.send(b"two\n")
    await client.writer.drain()
    client.writer.close()
    await until(lambda: len(scene.server.came) == 2)
    assert scene.server.came == [b"one\n", b"two\n"]


async def test_a_server_that_is_gone_shows_as_a_connection_that_ends(scene: Scene) -> None:
    scene.proxy.target = ("127.0.0.1", 1)
    client = await scene.client()
    with pytest.raises(ConnectionResetError):
        await client.ask(b"one\n")


async def test_one_request_is_lost_and_no_other(scene: Scene) -> None:
    client = await scene.client()
    async with scene.proxy.fault(Fault.DROP_REQUEST, after=1, once=True):
        assert await client.ask(b"one\n") == b"re one\n"
        with suppress(ConnectionError):
            assert await client.ask(b"two\n") == b""
        assert await (await scene.client()).ask(b"three\n") == b"re three\n"
    assert scene.server.came == [b"one\n", b"three\n"]


async def test_a_late_answer_comes(scene: Scene) -> None:
    client = await scene.client()
    async with scene.proxy.fault(Fault.DELAY_ANSWER, once=True):
        assert await client.ask(b"one\n") == b"re one\n"
