"""MCP sessions in Valkey: one hash for each identity, with one field for each session."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Unpack

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from reference_backends import (
    BackendOptions,
    BaseBackend,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SessionUpdate,
    StorageUnavailableError,
    check_changes,
    check_identity,
    check_names,
    check_session,
)

# Replaces a field if it is still what was read; an empty text stands for no field.
REPLACE = """
if (redis.call('hget', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('hdel', KEYS[1], ARGV[1]) else redis.call('hset', KEYS[1], ARGV[1], ARGV[3]) end
return 1"""


class Row(NamedTuple):
    """What is stored of a session."""

    text: str
    record: dict[str, Any]
    expires_at: float


class ValkeyBackend(BaseBackend):
    """A ``StorageBackend`` over valkey-py. Expired sessions stay until they are cleaned up; no read shows them."""

    label = "Valkey"

    def __init__(self, url: str, *, prefix: str = "mcp", **options: Unpack[BackendOptions]) -> None:
        super().__init__(**options)
        self.url, self.prefix = url, prefix
        self.client: Any = None

    async def init(self) -> None:
        if self.client is None:
            self.client = Valkey.from_url(self.url, decode_responses=True, socket_connect_timeout=3, socket_timeout=5)
        self._opened()
        await self._call("ping")

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        session = check_session(session)
        identity, session_id = session.identity, session.session_id
        text = _text(self._codec.record(session), self._expiry(ttl))
        while True:
            row = await self._row(identity, session_id)
            if row is not None and self._is_live(row):
                raise SessionExistsError(f"session {session_id!r} exists already")
            if await self._replace(identity, session_id, row, text):
                return

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = check_names(identity, session_id)
        named, expires_at = check_changes(changes), self._expiry(ttl)
        while True:
            row = await self._row(identity, session_id)
            if row is None or not self._is_live(row):
                raise SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
            text = _text(self._codec.updated(row.record, named), expires_at)
            if await self._replace(identity, session_id, row, text):  # else another update came first: read again
                return

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        row = await self._row(*check_names(identity, session_id))
        return self._codec.session(row.record) if row is not None and self._is_live(row) else None

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        rows = await self._rows(self._key(check_identity(identity)))
        return [self._codec.session(row.record) for row in rows.values() if self._is_live(row)]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        rows = await self._rows(self._key(check_identity(identity)))
        return [session_id for session_id, row in rows.items() if self._is_live(row)]

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = check_names(identity, session_id)
        await self._call("hdel", self._key(identity), session_id)

    async def get_all_session_ids(self) -> list[str]:
        rows = [(each, row) for key in await self._keys() for each, row in (await self._rows(key)).items()]
        return [session_id for session_id, row in rows if self._is_live(row)]

    async def clear_all(self) -> None:
        for key in await self._keys():
            await self._call("unlink", key)

    async def cleanup_expired_sessions(self) -> None:
        for key in await self._keys():
            for session_id, row in (await self._rows(key)).items():
                if not self._is_live(row):
                    await self._call("eval", REPLACE, 1, key, session_id, row.text, "")

    async def disconnect(self) -> None:
        self._closed()
        client, self.client = self.client, None
        if client is not None:
            await client.aclose()

    def _is_live(self, row: Row) -> bool:
        return self._clock() < row.expires_at

    def _key(self, identity: str) -> str:
        return f"{self.prefix}:{identity}"

    async def _keys(self) -> set[str]:
        self._require_open()
        keys, cursor = set(), 0
        while True:
            cursor, found = await self._call("scan", cursor, match=f"{self.prefix}:*", count=1000)
            keys |= set(found)
            if not cursor:
                return keys

    async def _row(self, identity: str, session_id: str) -> Row | None:
        text = await self._call("hget", self._key(identity), session_id)
        return None if text is None else _parsed(text)

    async def _rows(self, key: str) -> dict[str, Row]:
        return {session_id: _parsed(text) for session_id, text in (await self._call("hgetall", key)).items()}

    async def _replace(self, identity: str, session_id: str, old: Row | None, new: str) -> bool:
        before = "" if old is None else old.text
        return bool(await self._call("eval", REPLACE, 1, self._key(identity), session_id, before, new))

    async def _call(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Send a command. Raise ``StorageUnavailableError`` if the server does not answer."""
        self._require_open()
        try:
            return await getattr(self.client, command)(*arguments, **options)
        except (ValkeyError, OSError, TimeoutError) as error:
            reason = type(error).__name__
        raise StorageUnavailableError(f"Valkey did not answer ({reason}); retry")  # not in the except block: EN-10


def _text(record: dict[str, Any], expires_at: float) -> str:
    return json.dumps({"record": record, "expires_at": expires_at})


def _parsed(text: str) -> Row:
    row = json.loads(text)
    return Row(text, row["record"], row["expires_at"])
