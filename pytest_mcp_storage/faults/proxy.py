"""A TCP proxy that loses requests and responses, for the clauses about outages (FA-1 to FA-3)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import Self, cast

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


class Fault(Enum):
    """What the proxy does to requests.

    A request begins with the first bytes of a client, or the first after a response.
    """

    REFUSE = "connections are refused, and open ones reset"
    DROP_REQUEST = "a request is not forwarded, and its connection is reset"
    DROP_ANSWER = "a request is forwarded, and its connection is reset when the response comes"
    SWALLOW_REQUEST = "a request is not forwarded and gets no response; the connection stays open"
    SWALLOW_ANSWER = "a request is forwarded, and its response is dropped; the connection stays open"
    DELAY_ANSWER = "a request is forwarded, and its response comes late"


LATE = 0.1
"""Seconds by which ``DELAY_ANSWER`` holds an answer back."""


OF_ONE_REQUEST = {"refused": Fault.DROP_REQUEST, "lost": Fault.DROP_ANSWER, "late": Fault.DELAY_ANSWER}
"""What the proxy does to one request of a call, by what a harness calls it (FAIL_STEP)."""


class FaultProxy:
    """A TCP proxy in front of the server at ``target``, on a separate loopback port.

    ::

        async with FaultProxy(("127.0.0.1", 6379)) as proxy:
            client = Redis(host=proxy.host, port=proxy.port)
            async with proxy.fault(Fault.DROP_ANSWER):
                ...                                 # requests arrive, responses don't
            proxy.delay = 0.2                       # seconds before anything is forwarded to the server

    It knows no protocol: it works for Redis, HTTP and any other protocol of requests and responses. Faults affect
    connections that are open already, and responses on their way. Use the proxy on one event loop.

    ``exempt`` gets the first bytes of each request, and says which requests pass in spite of a fault. Use it for the
    requests by which a client signs in, so that the fault hits the call that it connects for.
    """

    def __init__(self, target: Address, *, exempt: Callable[[bytes], bool] = lambda request: False) -> None:
        self.target = target
        self.exempt = exempt
        self.host = "127.0.0.1"
        self.port = 0
        """The port to connect to; it is kept while connections are refused."""
        self.delay = 0.0
        """Seconds before the proxy forwards what a client sends."""
        self.requests = 0
        """How many requests have come, including lost ones."""
        self._fault: Fault | None = None
        self._after = 0
        self._once = False
        self._connections: set[_Connection] = set()
        self._held: socket.socket | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        # A second socket holds the port without listening, so that nothing else gets it while connections are refused.
        self._held = _bound(self.host, 0)
        self.port = self._held.getsockname()[1]
        await self._listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stop_listening()
        connecting = [connection.connecting for connection in self._connections]
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        self._cut_all()
        if self._held is not None:
            self._held.close()
            self._held = None
        await asyncio.sleep(0)  # the loop closes them in its next round

    async def inject(self, fault: Fault, *, after: int = 0, once: bool = False) -> None:
        """Begin with ``fault``, after ``after`` more requests have passed unharmed (not for ``REFUSE``).

        ``once``: it happens to one request that begins from now on, and to no other.
        """
        await self.heal()
        self._fault, self._after, self._once = fault, after, once
        if fault is Fault.REFUSE:
            self._stop_listening()
            self._cut_all()
        elif not after and not once:
            for connection in self._connections:
                connection.fault = fault

    async def heal(self) -> None:
        """End the fault. Connections without a response are reset, so that their clients stop waiting."""
        self._fault, self._after = None, 0
        for connection in list(self._connections):
            if connection.dropped:
                connection.cut()
            connection.fault = None
        if self._server is None:
            await self._listen()

    @contextlib.asynccontextmanager
    async def fault(self, fault: Fault, *, after: int = 0, once: bool = False) -> AsyncIterator[None]:
        """Call :meth:`inject`, and :meth:`heal` at the end of the block."""
        await self.inject(fault, after=after, once=once)
        try:
            yield
        finally:
            await self.heal()

    def _next_fault(self, request: bytes) -> Fault | None:
        """Return what happens to the request that begins with these bytes."""
        self.requests += 1
        if self._fault is None or self.exempt(request):
            return None
        if self._after > 0:
            self._after -= 1
            return None
        fault = self._fault
        if self._once:
            self._fault = None
        return fault

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), sock=_bound(self.host, self.port), backlog=512
        )

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _cut_all(self) -> None:
        for connection in list(self._connections):
            connection.cut()


class _Connection(asyncio.Protocol):
    """One client's connection, with the one to the server behind it."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.fault: Fault | None = None
        self.dropped = False
        """Whether the proxy has dropped something of this connection."""
        self.client: asyncio.Transport | None = None
        self.server: asyncio.Transport | None = None
        self._in_request = False
        self._waiting: deque[tuple[float, bytes]] = deque()
        """What is to be forwarded, and when."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client = cast(asyncio.Transport, transport)
        self.proxy._connections.add(self)
        self.connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop, target = asyncio.get_running_loop(), self.proxy.target
        try:
            if isinstance(target, str):
                self.server, _ = await loop.create_unix_connection(lambda: _Answers(self), target)
            else:
                self.server, _ = await loop.create_connection(lambda: _Answers(self), *target)
        except OSError:
            self.cut()
        else:
            self._forward(loop.time())

    def data_received(self, data: bytes) -> None:
        if not self._in_request:
            self._in_request = True
            self.fault = self.proxy._next_fault(data)
        if self.fault is Fault.DROP_REQUEST:
            self.cut()
        elif self.fault is Fault.SWALLOW_REQUEST:
            self.dropped = True
        elif self.server is not None and not self.proxy.delay and not self._waiting:
            self.server.write(data)
        else:
            loop = asyncio.get_running_loop()
            due = loop.time() + self.proxy.delay
            if self._waiting:
                due = max(due, self._waiting[-1][0])
            self._waiting.append((due, data))
            loop.call_at(due, self._forward, due)

    def _forward(self, until: float) -> None:
        """Forward what is due. What was sent arrives, even if the client has closed the connection by then."""
        if self.server is None:
            return
        while self._waiting and self._waiting[0][0] <= until:
            self.server.write(self._waiting.popleft()[1])
        if self.client is None and not self._waiting:
            self.server.close()

    def answered(self, data: bytes) -> None:
        self._in_request = False
        if self.fault is Fault.DROP_ANSWER:
            self.cut()
        elif self.fault in (Fault.SWALLOW_ANSWER, Fault.SWALLOW_REQUEST):
            self.dropped = True
        elif self.fault is Fault.DELAY_ANSWER:
            asyncio.get_running_loop().call_later(LATE, self._answer, data)
        else:
            self._answer(data)

    def _answer(self, data: bytes) -> None:
        if self.client is not None:
            self.client.write(data)

    def pause_writing(self) -> None:
        if self.server is not None:
            self.server.pause_reading()

    def resume_writing(self) -> None:
        if self.server is not None:
            self.server.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.client = None
        self.proxy._connections.discard(self)
        if self.server is not None:
            self._forward(0)

    def cut(self) -> None:
        """Reset the connection, as a dying server or a firewall does."""
        self._waiting.clear()
        for transport in (self.client, self.server):
            if transport is not None:
                with contextlib.suppress(OSError):
                    transport.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                transport.abort()


class _Answers(asyncio.Protocol):
    """The server's side of a connection."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection

    def data_received(self, data: bytes) -> None:
        self.connection.answered(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.connection.server = None
        if self.connection.client is not None:
            self.connection.client.close()

    def pause_writing(self) -> None:
        if self.connection.client is not None:
            self.connection.client.pause_reading()

    def resume_writing(self) -> None:
        if self.connection.client is not None:
            self.connection.client.resume_reading()


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that shares ``port`` with the listening one, bound and not listening."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound
