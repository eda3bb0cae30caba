"""MCP sessions in Valkey: one hash for each identity, with one field for each session."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Unpack, cast

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.exceptions import ValkeyError

import reference_backends as rb

# Replaces a field if it is still what was read; an empty text means no field.
REPLACE = """
if (redis.call('hget', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('hdel', KEYS[1], ARGV[1]) else redis.call('hset', KEYS[1], ARGV[1], ARGV[3]) end
return 1"""


class ValkeyBackend(rb.BaseBackend):
    """A ``StorageBackend`` over valkey-py. Expired sessions stay until they are cleaned up; no read shows them."""

    label = "Valkey"

    def __init__(self, url: str, *, prefix: str = "mcp", **options: Unpack[rb.BackendOptions]) -> None:
        super().__init__(**options)
        self.url, self.prefix = url, prefix
        self.client: Any = None

    async def init(self) -> None:
        if self.client is None:
            # Many callers share ten connections; a client's own pool opens one for each call at once.
            options = {"decode_responses": True, "socket_connect_timeout": 3, "socket_timeout": 5}
            self.client = Valkey.from_pool(BlockingConnectionPool.from_url(self.url, max_connections=10, **options))
        self._opened()
        await self._call("ping")

    async def create_session(self, session: rb.SessionData, ttl: float | None = None) -> None:
        session = rb.check_session(session)
        identity, session_id = session.identity, session.session_id
        text = _text(self._codec.record(session), self._expiry(ttl))
        while True:
            old, record = await self._read(identity, session_id)
            if record is not None:
                raise rb.SessionExistsError(f"session {session_id!r} exists already")
            if await self._replace(self._key(identity), session_id, old, text):
                return

    async def update_session(
        self, identity: str, session_id: str, changes: rb.SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = rb.check_names(identity, session_id)
        named, expires_at = rb.check_changes(changes), self._expiry(ttl)
        while True:
            old, record = await self._read(identity, session_id)
            if record is None:
                raise rb.SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
            new = _text(self._codec.updated(record, named), expires_at)
            if await self._replace(self._key(identity), session_id, old, new):  # else another came first: read again
                return

    async def get_session(self, identity: str, session_id: str) -> rb.SessionData | None:
        _, record = await self._read(*rb.check_names(identity, session_id))
        return None if record is None else self._codec.session(record)

    async def get_identity_sessions_data(self, identity: str) -> list[rb.SessionData]:
        return [self._codec.session(each) for each in (await self._listing(identity)).values()]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return list(await self._listing(identity))

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = rb.check_names(identity, session_id)
        await self._call("hdel", self._key(identity), session_id)

    async def get_all_session_ids(self) -> list[str]:
        return [each for _, each, text in await self._rows() if self._live(text) is not None]

    async def clear_all(self) -> None:
        for key in await self._keys():
            await self._call("unlink", key)

    async def cleanup_expired_sessions(self) -> None:
        for key, session_id, text in await self._rows():
            if self._live(text) is None:
                await self._replace(key, session_id, text, "")

    async def disconnect(self) -> None:
        self._closed()
        client, self.client = self.client, None
        if client is not None:
            await client.aclose()

    def _live(self, text: str) -> Any:
        """Return the record in a field, ``None`` if it has expired or there is none."""
        row = json.loads(text or "{}")
        return row["record"] if row and self._clock() < row["expires_at"] else None

    def _key(self, identity: str) -> str:
        return f"{self.prefix}:{identity}"

    async def _keys(self) -> set[str]:
        keys, cursor = set(), 0
        while True:
            cursor, found = await self._call("scan", cursor, match=f"{self.prefix}:*", count=1000)
            keys |= set(found)
            if not cursor:
                return keys

    async def _rows(self) -> list[tuple[str, str, str]]:
        return [(key, *field) for key in await self._keys() for field in (await self._call("hgetall", key)).items()]

    async def _read(self, identity: str, session_id: str) -> tuple[str, Any]:
        text = await self._call("hget", self._key(identity), session_id) or ""
        return text, self._live(text)

    async def _listing(self, identity: str) -> dict[str, Any]:
        fields = await self._call("hgetall", self._key(rb.check_identity(identity)))
        records = {session_id: self._live(text) for session_id, text in fields.items()}
        return {session_id: record for session_id, record in records.items() if record is not None}

    async def _replace(self, key: str, session_id: str, old: str, new: str) -> bool:
        return bool(await self._call("eval", REPLACE, 1, key, session_id, old, new))

    async def _call(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Send a command. Raise ``StorageUnavailableError`` if the server does not answer."""
        self._require_open()
        reason, task = "", cast("asyncio.Task[Any]", asyncio.current_task())
        cancelled = task.cancelling()
        try:
            answer = await getattr(self.client, command)(*arguments, **options)
        except (ValkeyError, OSError, TimeoutError) as error:
            reason = type(error).__name__
        if task.cancelling() > cancelled:  # valkey-py swallows a cancellation while it connects (CA-4)
            raise asyncio.CancelledError
        if not reason:
            return answer
        raise rb.StorageUnavailableError(f"Valkey did not answer ({reason}); retry")  # not in the except block: EN-10


def _text(record: dict[str, Any], expires_at: float) -> str:
    return json.dumps({"record": record, "expires_at": expires_at})
