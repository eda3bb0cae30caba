"""Sessions in Redis or Valkey, shared by every process that can reach the server."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Unpack

from reference_backends.core.base import BackendOptions, BaseBackend, exists_already, not_live
from reference_backends.core.errors import ConfigurationError, StorageError
from reference_backends.core.record import SECRETS, Record
from reference_backends.core.session import SessionData, SessionUpdate
from reference_backends.core.validation import check_changes, check_identity, check_names, check_session
from reference_backends.redis import layout, scripts
from reference_backends.redis.calls import check_rights, check_server, run
from reference_backends.redis.errors import FAILURES, explain
from reference_backends.redis.pool import Client, Pool

SLACK_MS = 3_600_000
"""Milliseconds from a session's expiry until the server itself removes its key: an hour, more than clocks differ."""

TIMEOUT = 6.0
"""Seconds that a call may take: more than redis-py's ten attempts to connect, less than the 10 s of FA-1."""

AT_ONCE = 10_000
"""Number of sessions that one script removes. Then the server can serve other clients."""

RESEALING_ATTEMPTS = 5

_CREATED = _UPDATED = 1
_IN_CLEAR = 2


class RedisStorageBackend(BaseBackend):
    """A :class:`StorageBackend` on redis-py's asyncio client, for Redis 6.2 and newer, and Valkey.

    ``client`` is a ``redis.asyncio.Redis`` (with any pool, also Sentinel's) or ``RedisCluster``, or a function without
    arguments that returns one. The caller may use the client and has to close it. The handle makes separate
    connections with the settings of the client's pool: in each event loop at most as many as that pool may have, and
    at most 64. ``prefix`` is the beginning of every key and separates this store from others on the server.
    ``timeout`` is the number of seconds that a call may take; the client's own limits are not used. The other keyword
    arguments are those of :class:`BaseBackend`.

    Each session is a hash, and each identity has a sorted set of its sessions by expiry. Every call on one identity
    is one atomic script in one round trip. Its keys share a hash tag, so on Redis Cluster they are in one slot.
    ``get_all_session_ids``, ``clear_all`` and ``cleanup_expired_sessions`` scan every (primary) node, identity by
    identity. Two identities may use the same session id for different sessions (ID-4).

    A command is never sent twice; the client's ``Retry`` is used to connect only. If an answer is lost, the call
    raises ``StorageUnavailableError``, and the write is done completely or not at all (FA-3).

    Several event loops and threads may use the handle. But a ``RedisCluster`` can only be used on the loop that calls
    first: for several loops give a function, which is called once in each. ``disconnect`` closes the connections of
    every running loop. A loop that ends as ``asyncio.run`` ends it closes its connections. After a fork, ``init`` in
    the child opens the handle again.

    With the real clock the server removes an expired session by itself, one hour late. With an injected clock only
    ``cleanup_expired_sessions`` does. Set ``maxmemory-policy`` to ``noeviction``: any other policy loses sessions.
    """

    label = "redis"

    def __init__(
        self,
        client: Client | Callable[[], Client],
        *,
        prefix: str = "mcp-storage",
        timeout: float = TIMEOUT,
        **options: Unpack[BackendOptions],
    ) -> None:
        super().__init__(**options)
        if not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
            raise ConfigurationError("timeout must be a number of seconds above 0")
        self._keys = layout.Keys(prefix)
        self._new_pool = partial(Pool, client, float(timeout))
        self._pool = self._new_pool()
        self._pools_of_parent: list[Pool] = []
        """Never closed: closing them in a child of a fork would affect the event loops of the parent."""
        self._slack = SLACK_MS if self._clock is time.time else None

    async def init(self) -> None:
        if self._has_forked:
            self._pools_of_parent.append(self._pool)
            self._pool = self._new_pool()
        connection = self._pool.connection()
        await check_server(connection, self._pool.server)
        await check_rights(connection, self._pool.server, self._keys.context)
        self._opened()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        record = self._codec.record(check_session(session))
        member = layout.member(session.session_id)
        fields = layout.fields(record)
        if self._codec.seals:
            fields += (layout.SEALED, b"1")
        keys = self._pair(session.identity, member)
        if await self._run(scripts.CREATE, keys, self._now_ms(), *self._moments(ttl), member, *fields) != _CREATED:
            raise exists_already(session.session_id)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = check_names(identity, session_id)
        named = check_changes(changes)
        written = self._codec.seal_clear({field: value for field, value in named.items() if value is not None})
        removed = [field.encode() for field, value in named.items() if value is None]
        if not self._codec.seals and any(field in written for field in SECRETS):
            removed.append(layout.SEALED)
        member = layout.member(session_id)
        keys = self._pair(identity, member)
        seals = int(self._codec.seals)
        rest: list[bytes | int] = [member, seals, len(removed), *removed, *layout.fields(written)]
        moments = self._moments(ttl)
        while (done := await self._run(scripts.UPDATE, keys, self._now_ms(), *moments, *rest)) == _IN_CLEAR:
            await self._seal(identity, session_id, keys[0], member)
        if done != _UPDATED:
            raise not_live(session_id)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        identity, session_id = check_names(identity, session_id)
        member = layout.member(session_id)
        packed = await self._run(scripts.READ, [self._keys.session(identity, member)], member)
        if packed is None:
            return None
        _, stored = layout.unpack(packed)
        if not layout.is_live(stored, self._now_ms()):
            return None
        return self._codec.session(layout.record(identity, session_id, stored))

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        identity = check_identity(identity)
        rows = await self._run(scripts.LIST, [self._keys.index(identity)], self._now_ms())
        return [self._codec.session(layout.record(identity, *layout.unpack(row))) for row in rows]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        index = self._keys.index(check_identity(identity))
        return layout.names(await self._run(scripts.NAMES, [index], self._now_ms()))

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = check_names(identity, session_id)
        member = layout.member(session_id)
        await self._run(scripts.REMOVE, self._pair(identity, member), member)

    async def get_all_session_ids(self) -> list[str]:
        now = self._now_ms()
        return [
            name
            async for indexes in self._indexes()
            for name in layout.names(await self._run(scripts.NAMES, indexes, now))
        ]

    async def clear_all(self) -> None:
        async for page in self._pages(self._keys.everything):
            indexes = {layout.index_of_key(key) for key in page}
            keys = [*indexes, *(set(page) - indexes)]
            while not await self._run(scripts.CLEAR, keys, len(indexes), AT_ONCE):
                pass

    async def cleanup_expired_sessions(self) -> None:
        now = self._now_ms()
        async for indexes in self._indexes():
            while not await self._run(scripts.SWEEP, indexes, now, AT_ONCE):
                pass

    async def session_names(self) -> list[tuple[str, str]]:
        """Return identity and session id of every live session."""
        now = self._now_ms()
        return [
            (layout.identity(index), name)
            async for indexes in self._indexes()
            for index, joined in zip(indexes, await self._run(scripts.NAMES, indexes, now), strict=True)
            for name in layout.names([joined])
        ]

    async def reseal_session(self, identity: str, session_id: str, *, dry_run: bool = False) -> bool | None:
        """Seal a session's secrets under the first key and keep its expiry, in one step; see ``Resealable``."""
        identity, session_id = check_names(identity, session_id)
        member = layout.member(session_id)
        key = self._keys.session(identity, member)
        for _ in range(RESEALING_ATTEMPTS):
            packed = await self._run(scripts.READ, [key], member)
            stored = {} if packed is None else layout.unpack(packed)[1]
            if not layout.is_live(stored, self._now_ms()):
                return None
            old = layout.secrets(identity, session_id, stored)
            new = self._codec.resealed(old)
            if new is old:
                return False
            if dry_run or await self._swap(key, stored, old, new):
                return True
        raise StorageError(f"session {session_id!r} changed at each of {RESEALING_ATTEMPTS} attempts; retry")

    async def compact(self) -> str:
        """Do nothing: only the server's administrator can rewrite its files."""
        return (
            "the server's append-only file and snapshots hold the old values until they are rewritten; "
            "run BGREWRITEAOF and BGSAVE there"
        )

    async def disconnect(self) -> None:
        self._closed()
        if not self._has_forked:
            await self._pool.close()

    def _pair(self, identity: str, member: bytes) -> list[bytes]:
        """Return the keys of a session's hash and of its identity's index."""
        return [self._keys.session(identity, member), self._keys.index(identity)]

    def _moments(self, ttl: float | None) -> tuple[int, bytes]:
        """Return when a session written now expires, and when the server may remove it (empty: never), in ms."""
        expiry = self._expiry_ms(ttl)
        return expiry, b"" if self._slack is None else b"%d" % (expiry + self._slack)

    async def _seal(self, identity: str, session_id: str, key: bytes, member: bytes) -> None:
        """Seal the secrets of a session that was written without a key (MX-5). Do nothing if they change meanwhile."""
        packed = await self._run(scripts.READ, [key], member)
        if packed is not None:
            _, stored = layout.unpack(packed)
            clear = layout.secrets(identity, session_id, stored)
            await self._swap(key, stored, clear, self._codec.seal_clear(clear))

    async def _swap(self, key: bytes, stored: Mapping[bytes, bytes], old: Record, new: Record) -> bool:
        """Replace the secrets of a session. Return False if they have changed since ``stored`` was read."""
        swaps: list[bytes] = []
        for name in SECRETS:
            held = stored.get(name.encode())
            expected = b"" if held is None else b"=" + held
            changed = new.get(name) is not old.get(name)
            swaps += (name.encode(), expected, layout.fields({name: new[name]})[1] if changed else b"")
        return bool(await self._run(scripts.SEAL, [key], *swaps))

    async def _indexes(self) -> AsyncIterator[list[bytes]]:
        """Yield every index once, in groups that one script may take."""
        seen: set[bytes] = set()
        async for page in self._pages(self._keys.indexes):
            fresh = set(page) - seen
            seen |= fresh
            if fresh:
                yield list(fresh)

    async def _pages(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield the keys that match, in groups that one script may take. A key may occur twice."""
        self._require_open()
        connection = self._pool.connection()
        pages = connection.scan(pattern)
        while True:
            try:
                page = await anext(pages)
            except StopAsyncIteration:
                return
            except FAILURES as error:
                problem = explain(error, self._pool.server)
            else:
                for group in _groups(page) if connection.one_slot else [page]:
                    if group:
                        yield group
                continue
            raise problem

    async def _run(self, script: scripts.Script, keys: list[bytes], *arguments: bytes | int) -> Any:
        self._require_open()
        return await run(self._pool.connection(), self._pool.server, script, keys, *arguments)


def _groups(keys: list[bytes]) -> list[list[bytes]]:
    """Return the keys grouped by identity. The keys of one identity share a slot."""
    groups: dict[bytes, list[bytes]] = defaultdict(list)
    for key in keys:
        groups[layout.index_of_key(key)].append(key)
    return list(groups.values())
