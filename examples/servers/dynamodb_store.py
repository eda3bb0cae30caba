"""MCP sessions in DynamoDB: one item for each session, one conditional request for each change."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, TypeGuard, Unpack
from weakref import WeakValueDictionary

from dynamodb_table import Item, Table, parts_of

import reference_backends as rb

logging.getLogger("botocore").setLevel(logging.INFO)  # at DEBUG it logs the bodies of requests and answers (EN-10)
IS_NEW = "attribute_not_exists(version) or expires_at <= :now"


class Turn(asyncio.Lock):
    """Lets the callers of a handle update a session one after the other. Each begins with what the last one wrote."""

    written: Item | None = None


class DynamoDBBackend(rb.BaseBackend):
    """A ``StorageBackend`` over DynamoDB. The table's own TTL may use ``expires_at``; no read relies on it."""

    label = "DynamoDB"

    def __init__(self, table: str, settings: Mapping[str, Any], **options: Unpack[rb.BackendOptions]) -> None:
        super().__init__(**options)
        self._table = Table(table, settings)
        self._turns: WeakValueDictionary[tuple[str, str], Turn] = WeakValueDictionary()

    async def init(self) -> None:
        await self._table.open()
        self._opened()

    async def create_session(self, session: rb.SessionData, ttl: float | None = None) -> None:
        session = rb.check_session(session)
        item = self._item(self._codec.record(session), self._expiry(ttl))
        if not await self.table.put({**_key(session.identity, session.session_id), **item}, IS_NEW, self._now()):
            raise rb.SessionExistsError(f"session {session.session_id!r} exists already")

    async def update_session(
        self, identity: str, session_id: str, changes: rb.SessionUpdate, ttl: float | None = None
    ) -> None:
        key = _key(*rb.check_names(identity, session_id))
        named, expires_at = rb.check_changes(changes), self._expiry(ttl)
        turn = self._turns.setdefault((identity, session_id), Turn())
        async with turn:
            while True:
                old, turn.written = turn.written or await self.table.get(key), None
                if not self._live(old):
                    raise rb.SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
                new = self._item(self._codec.updated(json.loads(old["body"]), named), expires_at)
                turn.written = await self.table.put({**key, **new}, "version = :old", {":old": old["version"]})
                if turn.written is not None:  # else a caller elsewhere came first: read again
                    return await self.table.delete(parts_of(old))

    async def get_session(self, identity: str, session_id: str) -> rb.SessionData | None:
        item = await self.table.get(_key(*rb.check_names(identity, session_id)))
        return self._session(item) if self._live(item) else None

    async def get_identity_sessions_data(self, identity: str) -> list[rb.SessionData]:
        items = await self._listing(identity)
        whole = [await self.table.get(item) if item["parts"] else item for item in items]
        return [self._session(item) for item in whole if self._live(item)]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        items = await self._listing(identity, ProjectionExpression="session_id, expires_at")
        return [item["session_id"] for item in items]

    async def remove_session(self, identity: str, session_id: str) -> None:
        await self.table.remove(_key(*rb.check_names(identity, session_id)))

    async def get_all_session_ids(self) -> list[str]:
        return [item["session_id"] for item in await self.table.scan() if "version" in item and self._live(item)]

    async def clear_all(self) -> None:
        await self.table.delete(await self.table.scan())

    async def cleanup_expired_sessions(self) -> None:
        for item in await self.table.scan():
            if not self._live(item):  # one by one: a batch takes no conditions
                await self.table.remove(item, "expires_at <= :now", self._now())

    async def disconnect(self) -> None:
        self._closed()
        await self._table.close()

    @property
    def table(self) -> Table:
        """The table of a store that is open."""
        self._require_open()
        return self._table

    def _now(self) -> Item:
        return {":now": self._clock()}

    def _live(self, item: Item | None) -> TypeGuard[Item]:
        return item is not None and self._clock() < item["expires_at"]

    def _item(self, record: Any, expires_at: float) -> Item:
        return {"body": json.dumps(record), "expires_at": expires_at}

    def _session(self, item: Item) -> rb.SessionData:
        return self._codec.session(json.loads(item["body"]))

    async def _listing(self, identity: str, **options: Any) -> list[Item]:
        items = await self.table.query(_key(rb.check_identity(identity), "")["identity"], **options)
        return [item for item in items if self._live(item)]


def _key(identity: str, session_id: str) -> Item:
    """Return the key of a session. The prefix keeps identities and the partitions of ``Table`` apart."""
    return {"identity": f"user:{identity}", "session_id": session_id}
