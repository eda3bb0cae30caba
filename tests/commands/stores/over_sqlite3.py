"""A store over the standard library's sqlite3, as an author writes one: a path, and options by keyword."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from reference_backends import SessionData, SessionExistsError, SessionNotFoundError, SessionUpdate
from reference_backends.core.base import BaseBackend
from reference_backends.core.validation import check_changes, check_identity, check_names, check_session

TABLE = """
create table if not exists records (
    identity text, session_id text, record text, expires_at real, primary key (identity, session_id)
)"""
ONE = "select record from records where identity = ? and session_id = ? and expires_at > ?"


class SqliteSessions(BaseBackend):
    label = "sqlite3"

    def __init__(
        self,
        path: str | Path,
        encryption_key: str | Sequence[str] | None = None,
        ttl: float = 43_200,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(encryption_key=encryption_key, default_ttl=ttl, clock=now)
        self.path = path

    async def init(self) -> None:
        self._opened()
        self._run(TABLE)

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        session = check_session(session)
        row = session.identity, session.session_id, json.dumps(self._codec.record(session)), self._expiry(ttl)
        with closing(self._connection()) as database, database:
            database.execute("begin immediate")
            database.execute("delete from records where expires_at <= ?", (self._clock(),))
            if not database.execute("insert or ignore into records values (?, ?, ?, ?)", row).rowcount:
                raise SessionExistsError(f"session {session.session_id!r} exists already")

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        named, expires_at = check_changes(changes), self._expiry(ttl)
        with closing(self._connection()) as database, database:
            database.execute("begin immediate")
            found = database.execute(ONE, (*name, self._clock())).fetchone()
            if found is None:
                raise SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
            record = json.dumps(self._codec.updated(json.loads(found[0]), named))
            update = "update records set record = ?, expires_at = ? where identity = ? and session_id = ?"
            database.execute(update, (record, expires_at, *name))

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = self._run(ONE, *check_names(identity, session_id), self._clock())
        return self._codec.session(json.loads(found[0][0])) if found else None

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        query = "select record from records where identity = ? and expires_at > ?"
        found = self._run(query, check_identity(identity), self._clock())
        return [self._codec.session(json.loads(record)) for (record,) in found]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        query = "select session_id from records where identity = ? and expires_at > ?"
        return [each for (each,) in self._run(query, check_identity(identity), self._clock())]

    async def remove_session(self, identity: str, session_id: str) -> None:
        self._run("delete from records where identity = ? and session_id = ?", *check_names(identity, session_id))

    async def get_all_session_ids(self) -> list[str]:
        return [each for (each,) in self._run("select session_id from records where expires_at > ?", self._clock())]

    async def clear_all(self) -> None:
        self._run("delete from records")

    async def cleanup_expired_sessions(self) -> None:
        self._run("delete from records where expires_at <= ?", self._clock())

    async def disconnect(self) -> None:
        self._open = False

    def _connection(self) -> sqlite3.Connection:
        self._require_open()
        return sqlite3.connect(self.path, isolation_level=None, timeout=10)

    def _run(self, query: str, *arguments: Any) -> list[Any]:
        with closing(self._connection()) as database:
            return database.execute(query, arguments).fetchall()
