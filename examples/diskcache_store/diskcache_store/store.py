"""MCP sessions in a diskcache directory. Several processes may share it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, Unpack

import diskcache

from reference_backends import (
    BackendOptions,
    BaseBackend,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SessionUpdate,
    StorageSetupError,
    StorageUnavailableError,
    check_changes,
    check_identity,
    check_names,
    check_session,
)

Result = TypeVar("Result")


class DiskcacheBackend(BaseBackend):
    """A ``StorageBackend`` over :mod:`diskcache`. The keyword arguments are those of ``BaseBackend``.

    A session is a JSON text with its record and its expiry. Each identity has a list of its session ids.
    """

    label = "diskcache"

    def __init__(self, path: Path, **options: Unpack[BackendOptions]) -> None:
        super().__init__(**options)
        self.path = path
        self.cache: diskcache.Cache | None = None
        self.thread: ThreadPoolExecutor | None = None

    async def init(self) -> None:
        if self.cache is None:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self.cache = await self._threaded(self._open_cache)
            except sqlite3.DatabaseError as error:
                raise StorageSetupError(f"{self.path} holds no diskcache; restore it, or move it away") from error
        self._opened()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        session = check_session(session)
        identity, session_id = session.identity, session.session_id
        row = _row(self._codec.record(session), self._expiry(ttl))

        def create(cache: diskcache.Cache) -> None:
            if self._live(cache, identity, session_id) is not None:
                raise SessionExistsError(f"session {session_id!r} exists already")
            cache[_key(identity, session_id)] = row
            others = [each for each in cache.get(_index(identity), []) if each != session_id]
            cache[_index(identity)] = [*others, session_id]

        await self._transact(create)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = check_names(identity, session_id)
        named, expires_at = check_changes(changes), self._expiry(ttl)

        def update(cache: diskcache.Cache) -> None:
            record = self._live(cache, identity, session_id)
            if record is None:
                raise SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
            cache[_key(identity, session_id)] = _row(self._codec.updated(record, named), expires_at)

        await self._transact(update)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        identity, session_id = check_names(identity, session_id)
        record = await self._transact(lambda cache: self._live(cache, identity, session_id))
        return None if record is None else self._codec.session(record)

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [self._codec.session(record) for record in (await self._listing(identity)).values()]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return list(await self._listing(identity))

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = check_names(identity, session_id)
        await self._transact(lambda cache: _remove(cache, identity, session_id))

    async def get_all_session_ids(self) -> list[str]:
        return await self._transact(
            lambda cache: [name[1] for name in _names(cache) if self._live(cache, *name) is not None]
        )

    async def clear_all(self) -> None:
        await self._transact(lambda cache: cache.clear())

    async def cleanup_expired_sessions(self) -> None:
        def clean_up(cache: diskcache.Cache) -> None:
            for name in list(_names(cache)):
                if self._live(cache, *name) is None:
                    _remove(cache, *name)

        await self._transact(clean_up)

    async def disconnect(self) -> None:
        self._closed()
        cache, self.cache = self.cache, None
        if cache is not None:
            await self._threaded(cache.close)
        if self.thread is not None:
            self.thread.shutdown()
            self.thread = None

    def _open_cache(self) -> diskcache.Cache:
        # No eviction by size, and all values in the database itself: sessions are not a cache.
        options = {"eviction_policy": "none", "disk_min_file_size": 2**30, "sqlite_synchronous": 2, "timeout": 10}
        cache = diskcache.Cache(str(self.path), disk=diskcache.JSONDisk, **options)
        for file in self.path.iterdir():
            file.chmod(0o600)
        return cache

    async def _transact(self, work: Callable[[diskcache.Cache], Result]) -> Result:
        """Run ``work`` in one transaction."""
        self._require_open()
        cache = self.cache

        def run() -> Result:
            with cache.transact():
                return work(cache)

        try:
            return await self._threaded(run)
        except (diskcache.Timeout, sqlite3.OperationalError, OSError) as error:
            raise StorageUnavailableError("the cache did not answer in time; retry") from error

    async def _threaded(self, work: Callable[[], Result]) -> Result:
        # diskcache keeps a connection for each thread: with one thread, closing the cache closes the only one.
        self.thread = self.thread or ThreadPoolExecutor(1)
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)

    async def _listing(self, identity: str) -> dict[str, dict[str, Any]]:
        """Return the live records of an identity by session id."""
        identity = check_identity(identity)

        def listing(cache: diskcache.Cache) -> dict[str, dict[str, Any]]:
            found = {each: self._live(cache, identity, each) for each in cache.get(_index(identity), [])}
            return {each: record for each, record in found.items() if record is not None}

        return await self._transact(listing)

    def _live(self, cache: diskcache.Cache, identity: str, session_id: str) -> dict[str, Any] | None:
        """Return the live record."""
        text = cache.get(_key(identity, session_id))
        if text is None:
            return None
        row = json.loads(text)
        record: dict[str, Any] = row["fields"]
        return record if self._clock() < row["expires_at"] else None


def _row(record: dict[str, Any], expires_at: float) -> str:
    return json.dumps({"fields": record, "expires_at": expires_at})


def _remove(cache: diskcache.Cache, identity: str, session_id: str) -> None:
    cache.pop(_key(identity, session_id))
    if left := [each for each in cache.get(_index(identity), []) if each != session_id]:
        cache[_index(identity)] = left
    else:
        cache.pop(_index(identity))


def _key(identity: str, session_id: str) -> list[str]:
    return ["session", identity, session_id]


def _index(identity: str) -> list[str]:
    return ["index", identity]


def _names(cache: diskcache.Cache) -> Iterator[tuple[str, str]]:
    for key in cache.iterkeys():
        if key[0] == "session":
            yield key[1], key[2]
