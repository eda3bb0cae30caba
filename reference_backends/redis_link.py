"""The way to the server: one link for each event loop, each call sent at most once and answered within a limit.

redis-py's own ``execute_command`` sends a command again when its answer is lost, so that a create could fail over its
own first attempt, or undo a removal in between. A link asks once. Connecting is tried as often as the client's
``Retry`` says: nothing was asked by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from redis.asyncio import Redis, RedisCluster
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from reference_backends.errors import ConfigurationError
from reference_backends.redis_errors import FAILURES, denial, explain, refusal
from reference_backends.redis_scripts import READ, TRY, Script

if TYPE_CHECKING:
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.connection import AbstractConnection

MOST_CONNECTIONS = 64
"""How many calls of one loop are under way at once; the rest wait in line."""

PAGE = 1000
"""How many keys SCAN looks at in a step."""

SCAN = b"""
local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
return {step[1], table.concat(step[2], '\\0')}
"""
"""One step of SCAN, its keys joined by NULs: redis-py takes longer to parse a thousand texts than to ask for them."""

Argument = bytes | int


class Link(Protocol):
    """What the store needs of a server, or of a cluster of them."""

    one_slot: bool
    """Whether the keys of a call must share a slot."""

    async def ask(self, command: bytes, *arguments: Argument, key: bytes | None = None) -> Any:
        """The answer to one command, in bytes. ``key`` says which node of a cluster. Raises redis-py's errors."""

    def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """The keys that match, in pages; a key may come twice."""
        ...

    async def close(self) -> None:
        """Close the connections that nobody uses just now."""


class ServerLink:
    """A link to one server. Its connections are its own, made with the settings of the client's pool."""

    one_slot = False

    def __init__(self, client: Redis, limit: float) -> None:
        pool = client.connection_pool
        self._make: Callable[[], AbstractConnection] = pool.make_connection
        self._limit = limit
        self._line = asyncio.Semaphore(min(pool.max_connections, MOST_CONNECTIONS))
        self._idle: list[AbstractConnection] = []
        self._closed = False
        self._parting = _at_the_loops_end(partial(_hang_up, self._idle))

    async def ask(self, command: bytes, *arguments: Argument, key: bytes | None = None) -> Any:
        request = _packed(command, *arguments)
        async with asyncio.timeout(self._limit), self._line:
            connection = await self._connected()
            try:
                await connection.send_packed_command(request)
                answer = await connection.read_response(disable_decoding=True)
            except BaseException as error:
                if isinstance(error, ResponseError) and not _demoted(error):
                    await self._keep(connection)
                else:  # a late answer must not meet the next question
                    await connection.disconnect(nowait=True)
                raise
            await self._keep(connection)
            return answer

    async def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        cursor = b"0"
        while True:
            cursor, page = await self.ask(b"EVAL", SCAN, 0, cursor, pattern, PAGE)
            yield page.split(b"\0") if page else []
            if cursor == b"0":
                return

    async def close(self) -> None:
        self._closed = True
        await self._parting.aclose()

    async def _connected(self) -> AbstractConnection:
        while self._idle:
            connection = self._idle.pop()
            if not await _hung_up(connection):
                return connection
            await connection.disconnect(nowait=True)
        connection = self._make()
        connection.socket_timeout = None  # each of its timers would cost as much as the limit around them all
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _keep(self, connection: AbstractConnection) -> None:
        if self._closed:
            await connection.disconnect(nowait=True)
        else:
            self._idle.append(connection)


class ClusterLink:
    """A link to a cluster: each call goes to the node that holds its slot, the store-wide ones to every primary.

    A client that is ``lent`` stays open when the link is closed.
    """

    one_slot = True

    def __init__(self, client: RedisCluster, limit: float, *, lent: bool) -> None:
        self._client = client
        self._parting = None if lent else _at_the_loops_end(client.aclose)
        self._limit = limit
        self._line = asyncio.Semaphore(MOST_CONNECTIONS)

    async def ask(self, command: bytes, *arguments: Argument, key: bytes | None = None) -> Any:
        async with asyncio.timeout(self._limit), self._line:
            await self._client.initialize()
            node = self._client.get_default_node() if key is None else self._client.get_node_from_key(key.decode())
            return await self._ask(node, command, *arguments)

    async def scan(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        async with asyncio.timeout(self._limit):
            await self._client.initialize()
        for node in self._client.get_primaries():
            cursor = b"0"
            while True:
                async with asyncio.timeout(self._limit), self._line:
                    cursor, page = await self._ask(node, b"EVAL", SCAN, 0, cursor, pattern, PAGE)
                yield page.split(b"\0") if page else []
                if cursor == b"0":
                    break

    async def close(self) -> None:
        if self._parting is not None:
            await self._parting.aclose()

    async def _ask(self, node: ClusterNode | None, command: bytes, *arguments: Argument) -> Any:
        # With a node named, redis-py follows a moved slot but sends nothing twice.
        options: dict[str, Any] = {"target_nodes": node, NEVER_DECODE: True}
        return await self._client.execute_command(command.decode(), *arguments, **options)


async def examine(link: Link, server: str) -> None:
    """See that a server which is asked alone is no node of a cluster, and no replica. Raises :class:`StorageError`.

    A cluster's node would serve a third of all identities, and walk a third of all keys without a word.
    """
    if link.one_slot:
        return
    try:
        told = await link.ask(b"HELLO")
    except ResponseError:  # forbidden, or older than it: the first script shows what works
        return
    except FAILURES as error:
        problem = explain(error, server)
    else:
        facts = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=False))
        if facts.get(b"mode") == b"cluster":
            problem = refusal("MOVED", server)
        elif facts.get(b"role") == b"replica":
            problem = refusal("READONLY", server)
        else:
            return
    raise problem


async def try_rights(link: Link, server: str, keys: list[bytes]) -> None:
    """Try what the store will need on keys that no session has. Raises :class:`StorageError` for what is forbidden.

    By EVAL, and a script by EVALSHA as every call has it: a server that others use may know all scripts.
    """
    try:
        denied = await link.ask(b"EVAL", TRY.source, len(keys), *keys, key=keys[0])
    except FAILURES as error:
        problem = explain(error, server)
    else:
        if not denied:
            await run(link, server, READ, keys[:1], b"")
            return
        problem = denial([command.decode() for command in denied], server)
    raise problem


async def run(link: Link, server: str, script: Script, keys: list[bytes], *arguments: Argument) -> Any:
    """Run a script on ``keys``, which lie in one slot where the link asks for it. Raises :class:`StorageError`."""
    try:
        try:
            return await link.ask(b"EVALSHA", script.digest, len(keys), *keys, *arguments, key=keys[0])
        except NoScriptError:  # nothing has run: this server does not know the script yet, or any more
            return await link.ask(b"EVAL", script.source, len(keys), *keys, *arguments, key=keys[0])
    except FAILURES as error:
        problem = explain(error, server)
    raise problem


def link_to(client: Redis | RedisCluster, limit: float, *, lent: bool) -> Link:
    """A link by this client, for the running event loop; ``lent``: somebody else closes the client.

    Raises :class:`ConfigurationError` for anything else than an asyncio client.
    """
    if isinstance(client, RedisCluster):
        return ClusterLink(client, limit, lent=lent)
    if isinstance(client, Redis):
        return ServerLink(client, limit)
    raise ConfigurationError("RedisStorageBackend takes a client of redis.asyncio, or a function that returns one")


def _at_the_loops_end(part: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    """A generator that awaits ``part`` when it is closed, which the running loop does at its end unless it was before.

    Every loop that ends by ``shutdown_asyncgens``, as ``asyncio.run`` has it, closes the generators that began in it.
    """
    generator = _waiting(part)
    with suppress(StopIteration):
        generator.__anext__().send(None)  # as far as its yield: it has begun, and nothing was awaited
    return generator


async def _waiting(part: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await part()


async def _hang_up(idle: list[AbstractConnection]) -> None:
    while idle:
        with suppress(*FAILURES):
            await idle.pop().disconnect()


async def _hung_up(connection: AbstractConnection) -> bool:
    """Whether an idle connection has ended, or holds words that nobody asked for: then nothing may be sent on it."""
    writer = getattr(connection, "_writer", None)
    if isinstance(writer, asyncio.StreamWriter) and writer.is_closing():  # reset, which redis-py does not look for
        return True
    look = getattr(connection, "can_read", None) or connection.can_read_destructive
    try:
        return bool(await look())
    except (RedisError, OSError):
        return True


def _demoted(error: ResponseError) -> bool:
    """Whether the server is no primary any more: a new connection may lead to the one that is."""
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)


def _packed(*parts: Argument) -> bytes:
    """A command in Redis's protocol."""
    pieces = [b"*%d\r\n" % len(parts)]
    for part in parts:
        text = part if isinstance(part, bytes) else b"%d" % part
        pieces.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(pieces)
