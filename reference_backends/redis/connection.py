"""The connection of one event loop. Each command is sent at most once, and has to return within a time limit.

redis-py's ``execute_command`` sends a command again if its answer is lost. Then a create could fail because of its
first attempt, or undo a removal in between. Here a command is sent once. Connecting is retried as often as the
client's ``Retry`` says: no command has been sent then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from redis import exceptions as redis_exceptions
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.client import NEVER_DECODE
from redis.exceptions import ReadOnlyError, ResponseError

from reference_backends.core.errors import ConfigurationError
from reference_backends.redis.errors import FAILURES

if TYPE_CHECKING:
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.connection import AbstractConnection

MOST_CONNECTIONS = 64
"""Number of calls of one loop that are sent at the same time. The others wait."""

CLOSING = 1.0
"""Seconds that closing idle connections may take. TLS sends a close message, which can block during an outage."""

LOST = (ConnectionError, redis_exceptions.ConnectionError)
"""Errors of a connection that has ended."""

PAGE = 1000
"""Number of keys that SCAN visits in one step."""

SCAN = b"""
local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
return {step[1], table.concat(step[2], '\\0')}
"""
"""One step of SCAN. The keys are joined by NULs: parsing a thousand texts in redis-py would take most of the time."""

Argument = bytes | int


class Connection(Protocol):
    """What the store needs of a server or a cluster."""

    one_slot: bool
    """Whether the keys of a call must share a slot."""

    async def ask(self, command: str, *arguments: Argument, key: bytes | None = None) -> Any:
        """Return the answer to a command, in bytes. ``key`` selects the node of a cluster. Raise redis-py's errors."""

    def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield the keys that match, in pages. A key may occur twice."""
        ...

    async def close(self) -> None:
        """Close the connections that are not in use."""


class _Call:
    """A command, and the answer that its caller awaits. If the caller is cancelled, so is the answer."""

    __slots__ = ("answer", "command")

    def __init__(self, command: tuple[str | Argument, ...]) -> None:
        self.command = command
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        if self.answer.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.answer.cancel()
        else:
            self.answer.set_exception(error)


class ServerConnection:
    """One server. A separate pool makes its connections in the same way as the client's pool.

    Waiting calls are sent together as a pipeline: for many callers that is faster than one connection for each. Each
    caller gets its own answer, also if other callers are cancelled. A single caller sends without delay.
    """

    one_slot = False

    def __init__(self, client: Redis, limit: float) -> None:
        self._client = client
        self._pool = _Pool(client.connection_pool)
        self._limit = limit
        self._slots = asyncio.Semaphore(self._pool.max_connections)
        self._waiting: list[_Call] = []
        self._exchanges = 0
        """Number of exchanges that are running."""
        self._latest = 1
        """Number of calls in the last exchange."""
        self._senders: set[asyncio.Task[None]] = set()

    async def ask(self, command: str, *arguments: Argument, key: bytes | None = None) -> Any:
        call = _Call((command, *arguments))
        if self._latest == 1 and not self._exchanges and not self._waiting:
            async with asyncio.timeout(self._limit):
                await self._exchange([call])
            return call.answer.result()
        self._waiting.append(call)
        if len(self._waiting) == 1:
            sender = asyncio.create_task(self._send_waiting())
            self._senders.add(sender)  # the loop keeps weak references only
            sender.add_done_callback(self._senders.discard)
        return await call.answer

    async def _send_waiting(self) -> None:
        calls: list[_Call] = []
        try:
            async with asyncio.timeout(self._limit), self._slots:
                calls, self._waiting = self._waiting, []
                if wanted := [call for call in calls if not call.answer.done()]:
                    await self._exchange(wanted)
        except BaseException as error:
            if not calls:  # all connections were in use for the whole time limit
                calls, self._waiting = self._waiting, []
            for call in calls:
                call.fail(error)
            if not isinstance(error, Exception):
                raise

    async def _exchange(self, calls: list[_Call]) -> None:
        """Send the commands, each once, and return the answers to their callers. Raise errors of the connection."""
        pool = self._pool
        connection = pool.get_available_connection()  # type: ignore[no-untyped-call]
        keep = False
        self._latest = len(calls)
        self._exchanges += 1
        try:
            await pool.ensure_connection(connection)
            await connection.send_packed_command(connection.pack_commands([call.command for call in calls]))
            keep = all([await _answered(connection, call) for call in calls])
        except LOST:
            if pool is self._pool:
                await self.close()  # the other connections have probably ended, too
            raise
        finally:
            self._exchanges -= 1
            if not keep or pool is not self._pool:
                await connection.disconnect(nowait=True)  # the next command must not read a late answer
            await pool.release(connection)

    async def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        cursor = b"0"
        while True:
            cursor, page = await self.ask("EVAL", SCAN, 0, cursor, pattern, PAGE)
            yield page.split(b"\0") if page else []
            if cursor == b"0":
                return

    async def close(self) -> None:
        """Close the connections that are not in use. A running call closes its own connection when it ends."""
        closing, self._pool = self._pool, _Pool(self._client.connection_pool)
        with suppress(*FAILURES):
            async with asyncio.timeout(CLOSING):
                await closing.disconnect(inuse_connections=False)


class _Pool(ConnectionPool):
    """A pool whose connections are made by another pool, of any class."""

    def __init__(self, maker: ConnectionPool) -> None:
        super().__init__(max_connections=min(maker.max_connections, MOST_CONNECTIONS))
        self._maker = maker

    def make_connection(self) -> AbstractConnection:
        connection: AbstractConnection = self._maker.make_connection()  # type: ignore[no-untyped-call]
        connection.socket_timeout = None  # the limit of the whole call is enough; a timer for each read costs time
        return connection


async def _answered(connection: AbstractConnection, call: _Call) -> bool:
    """Read the answer to a call. Return False if the answer shows that the server is not the primary any more."""
    try:
        answer = await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        call.fail(error)
        return not (isinstance(error, ReadOnlyError) or "READONLY" in str(error))
    if not call.answer.done():
        call.answer.set_result(answer)
    return True


class ClusterConnection:
    """A cluster. A call goes to the node that holds its slot; a store-wide call goes to every primary.

    A ``borrowed`` client stays open when the connection is closed.
    """

    one_slot = True

    def __init__(self, client: RedisCluster, limit: float, *, borrowed: bool) -> None:
        self._client = client
        self._borrowed = borrowed
        self._limit = limit
        self._slots = asyncio.Semaphore(MOST_CONNECTIONS)

    async def ask(self, command: str, *arguments: Argument, key: bytes | None = None) -> Any:
        async with asyncio.timeout(self._limit), self._slots:
            await self._client.initialize()
            node = self._client.get_default_node() if key is None else self._client.get_node_from_key(key.decode())
            return await self._ask(node, command, *arguments)

    async def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        async with asyncio.timeout(self._limit):
            await self._client.initialize()
        for node in self._client.get_primaries():
            cursor = b"0"
            while True:
                async with asyncio.timeout(self._limit), self._slots:
                    cursor, page = await self._ask(node, "EVAL", SCAN, 0, cursor, pattern, PAGE)
                yield page.split(b"\0") if page else []
                if cursor == b"0":
                    break

    async def close(self) -> None:
        if not self._borrowed:
            await self._client.aclose()

    async def _ask(self, node: ClusterNode | None, command: str, *arguments: Argument) -> Any:
        # With a target node, redis-py follows a moved slot but sends no command twice.
        options: dict[str, Any] = {"target_nodes": node, NEVER_DECODE: True}
        return await self._client.execute_command(command, *arguments, **options)


def connection_by(client: Redis | RedisCluster, limit: float, *, borrowed: bool) -> Connection:
    """Return a connection with this client for the running event loop. A ``borrowed`` client is closed by its owner.

    Raise :class:`ConfigurationError` if ``client`` is not an asyncio client.
    """
    if isinstance(client, RedisCluster):
        return ClusterConnection(client, limit, borrowed=borrowed)
    if isinstance(client, Redis):
        return ServerConnection(client, limit)
    raise ConfigurationError("RedisStorageBackend needs a client of redis.asyncio, or a function that returns one")


async def close(connection: Connection, limit: float) -> None:
    """Close a connection within a time limit. Ignore errors of the server."""
    with suppress(*FAILURES):
        async with asyncio.timeout(limit):
            await connection.close()
