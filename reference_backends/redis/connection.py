"""One event loop's way to the server: each command is sent at most once, and answered within a limit.

redis-py's own ``execute_command`` sends a command again when its answer is lost, so that a create could fail over its
own first attempt, or undo a removal in between. Here a command is sent once. Connecting is tried as often as the
client's ``Retry`` says: nothing was sent by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from redis import exceptions as theirs
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.client import NEVER_DECODE
from redis.exceptions import ReadOnlyError, ResponseError

from reference_backends.core.errors import ConfigurationError
from reference_backends.redis.errors import FAILURES

if TYPE_CHECKING:
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.connection import AbstractConnection

MOST_CONNECTIONS = 64
"""How many calls of one loop are sent at once; the rest wait."""

CLOSING = 1.0
"""Seconds that closing idle connections may take: TLS says goodbye, and an outage may swallow that."""

LOST = (ConnectionError, theirs.ConnectionError)
"""What a connection that has ended raises."""

PAGE = 1000
"""How many keys SCAN looks at in a step."""

SCAN = b"""
local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
return {step[1], table.concat(step[2], '\\0')}
"""
"""One step of SCAN, its keys joined by NULs: redis-py takes longer to parse a thousand texts than to ask for them."""

Argument = bytes | int


class Connection(Protocol):
    """What the store needs of a server, or of a cluster of them."""

    one_slot: bool
    """Whether the keys of a call must share a slot."""

    async def ask(self, command: str, *arguments: Argument, key: bytes | None = None) -> Any:
        """Return the answer to a command, in bytes. ``key`` says which node of a cluster. Raises redis-py's errors."""

    def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield the keys that match, in pages; a key may come twice."""
        ...

    async def close(self) -> None:
        """Close what nobody uses just now."""


class _Call:
    """A command, and the answer that its caller waits for; who gives up cancels that."""

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
    """One server, by a pool of this object's own, whose connections are made as the client's pool makes them.

    What waits at one moment is sent together, as a pipeline: for many callers that is faster than a connection each.
    Each caller gets its own answer, also if others have given up. A caller that seems to be alone sends at once.
    """

    one_slot = False

    def __init__(self, client: Redis, limit: float) -> None:
        self._client = client
        self._pool = _Pool(client.connection_pool)
        self._limit = limit
        self._turns = asyncio.Semaphore(self._pool.max_connections)
        self._waiting: list[_Call] = []
        self._exchanges = 0
        """How many are under way."""
        self._latest = 1
        """How many calls were sent together the last time."""
        self._senders: set[asyncio.Task[None]] = set()

    async def ask(self, command: str, *arguments: Argument, key: bytes | None = None) -> Any:
        call = _Call((command, *arguments))
        if self._latest == 1 and not self._exchanges and not self._waiting:
            async with asyncio.timeout(self._limit):
                await self._exchange([call])
            return call.answer.result()
        self._waiting.append(call)
        if len(self._waiting) == 1:
            sender = asyncio.create_task(self._send_what_waits())
            self._senders.add(sender)  # else nothing keeps it
            sender.add_done_callback(self._senders.discard)
        return await call.answer

    async def _send_what_waits(self) -> None:
        calls: list[_Call] = []
        try:
            async with asyncio.timeout(self._limit), self._turns:
                calls, self._waiting = self._waiting, []
                if wanted := [call for call in calls if not call.answer.done()]:
                    await self._exchange(wanted)
        except BaseException as error:
            if not calls:  # all connections are in use, for too long
                calls, self._waiting = self._waiting, []
            for call in calls:
                call.fail(error)
            if not isinstance(error, Exception):
                raise

    async def _exchange(self, calls: list[_Call]) -> None:
        """Send the commands, each once, and hand out the answers. Raises what ends the connection."""
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
                await self.close()  # what ended this connection has ended others
            raise
        finally:
            self._exchanges -= 1
            if not keep or pool is not self._pool:
                await connection.disconnect(nowait=True)  # a late answer must not meet the next command
            await pool.release(connection)

    async def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        cursor = b"0"
        while True:
            cursor, page = await self.ask("EVAL", SCAN, 0, cursor, pattern, PAGE)
            yield page.split(b"\0") if page else []
            if cursor == b"0":
                return

    async def close(self) -> None:
        """Close what nobody uses just now; each call that is being sent closes its own connection after it."""
        closing, self._pool = self._pool, _Pool(self._client.connection_pool)
        with suppress(*FAILURES):
            async with asyncio.timeout(CLOSING):
                await closing.disconnect(inuse_connections=False)


class _Pool(ConnectionPool):
    """A pool that has its connections made by another one, which may be of any kind."""

    def __init__(self, maker: ConnectionPool) -> None:
        super().__init__(max_connections=min(maker.max_connections, MOST_CONNECTIONS))
        self._maker = maker

    def make_connection(self) -> AbstractConnection:
        connection: AbstractConnection = self._maker.make_connection()  # type: ignore[no-untyped-call]
        connection.socket_timeout = None  # each of its timers would cost as much as the limit around them all
        return connection


async def _answered(connection: AbstractConnection, call: _Call) -> bool:
    """Give a call its answer; return whether the server is still the primary, as far as the answer shows."""
    try:
        answer = await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        call.fail(error)
        return not (isinstance(error, ReadOnlyError) or "READONLY" in str(error))
    if not call.answer.done():
        call.answer.set_result(answer)
    return True


class ClusterConnection:
    """A cluster: each call goes to the node that holds its slot, the store-wide ones to every primary.

    A client that is ``borrowed`` stays open when the connection is closed.
    """

    one_slot = True

    def __init__(self, client: RedisCluster, limit: float, *, borrowed: bool) -> None:
        self._client = client
        self._borrowed = borrowed
        self._limit = limit
        self._turns = asyncio.Semaphore(MOST_CONNECTIONS)

    async def ask(self, command: str, *arguments: Argument, key: bytes | None = None) -> Any:
        async with asyncio.timeout(self._limit), self._turns:
            await self._client.initialize()
            node = self._client.get_default_node() if key is None else self._client.get_node_from_key(key.decode())
            return await self._ask(node, command, *arguments)

    async def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        async with asyncio.timeout(self._limit):
            await self._client.initialize()
        for node in self._client.get_primaries():
            cursor = b"0"
            while True:
                async with asyncio.timeout(self._limit), self._turns:
                    cursor, page = await self._ask(node, "EVAL", SCAN, 0, cursor, pattern, PAGE)
                yield page.split(b"\0") if page else []
                if cursor == b"0":
                    break

    async def close(self) -> None:
        if not self._borrowed:
            await self._client.aclose()

    async def _ask(self, node: ClusterNode | None, command: str, *arguments: Argument) -> Any:
        # With a node named, redis-py follows a moved slot but sends nothing twice.
        options: dict[str, Any] = {"target_nodes": node, NEVER_DECODE: True}
        return await self._client.execute_command(command, *arguments, **options)


def connection_by(client: Redis | RedisCluster, limit: float, *, borrowed: bool) -> Connection:
    """Return a connection by this client, for the running event loop; ``borrowed``: somebody else closes the client.

    Raises :class:`ConfigurationError` for anything else than an asyncio client.
    """
    if isinstance(client, RedisCluster):
        return ClusterConnection(client, limit, borrowed=borrowed)
    if isinstance(client, Redis):
        return ServerConnection(client, limit)
    raise ConfigurationError("RedisStorageBackend takes a client of redis.asyncio, or a function that returns one")


async def close(connection: Connection, limit: float) -> None:
    """Close a connection, within a limit. An outage is no reason to stay open."""
    with suppress(*FAILURES):
        async with asyncio.timeout(limit):
            await connection.close()
