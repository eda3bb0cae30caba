"""MCP sessions in a diskcache directory: several processes may share it."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import sqlite3
import string
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import diskcache

from reference_backends import (
    DecryptionError,
    InvalidSessionError,
    Keyring,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SessionUpdate,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)

logger = logging.getLogger(__name__)

LONGEST_TTL = 3_155_760_000
SECRETS = ("tokens", "headers", "code_verifier", "client_information")
FIXED = {"session_id", "identity"}
LETTERS = string.ascii_letters
Result = TypeVar("Result")


class DiskcacheBackend:
    """A ``StorageBackend`` over :mod:`diskcache`; ``default_ttl`` in seconds, ``clock`` in seconds since the epoch."""

    def __init__(
        self,
        path: Path,
        *,
        encryption_key: str | Sequence[str] | None = None,
        default_ttl: float = 43_200,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.keyring = None if encryption_key is None else Keyring(encryption_key)
        self.default_ttl = default_ttl
        self.clock = clock
        self.cache: diskcache.Cache | None = None
        self.warned = False
        # diskcache has a connection for each thread. With one thread, closing the cache closes the only connection.
        self.thread = ThreadPoolExecutor(1)

    async def init(self) -> None:
        if self.cache is None:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self.cache = await self._threaded(self._open)
            except sqlite3.DatabaseError as error:
                raise StorageSetupError(
                    f"{self.path} is not a diskcache directory; restore it, or move it away"
                ) from error
        if self.keyring is None and not self.warned:
            self.warned = True
            logger.warning("no encryption key: tokens and headers are stored in clear")

    def generate_session_id(self) -> str:
        return secrets.choice(LETTERS) + "".join(secrets.choice(LETTERS + string.digits) for _ in range(19))

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        row = self._row(session, ttl)

        def create(cache: diskcache.Cache) -> None:
            if self._live(cache, session.identity, session.session_id):
                raise SessionExistsError(f"session {session.session_id!r} exists already")
            cache[_key(session.identity, session.session_id)] = row
            ids = cache.get(_index(session.identity), [])
            cache[_index(session.identity)] = [
                *(each for each in ids if each != session.session_id),
                session.session_id,
            ]

        await self._transact(create)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        _check(identity, session_id)
        if FIXED & set(changes) or set(changes) - set(SessionData.model_fields):
            raise InvalidSessionError("an update may name every field of a session but identity and session_id")
        # Validated as part of a complete session. Only the changed fields are stored, so secrets are not decrypted.
        blank = {"session_id": "s", "identity": "i", "server_url": "", "transport_type": "sse", "callback_url": ""}
        valid = SessionData.model_validate({**blank, "created_at": 0, **changes}).model_dump()
        named = {field: valid[field] for field in changes}
        expires_at = self._expiry(ttl)

        def update(cache: diskcache.Cache) -> None:
            row = self._live(cache, identity, session_id)
            if row is None:
                raise SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
            fields = {**json.loads(row)["fields"], **named}
            cache[_key(identity, session_id)] = self._encoded(fields, expires_at)

        await self._transact(update)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        _check(identity, session_id)
        row = await self._transact(lambda cache: self._live(cache, identity, session_id))
        return None if row is None else self._session(row)

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [self._session(row) for _, row in await self._listing(identity)]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return [session_id for session_id, _ in await self._listing(identity)]

    async def remove_session(self, identity: str, session_id: str) -> None:
        _check(identity, session_id)
        await self._transact(lambda cache: self._forget(cache, identity, [session_id]))

    async def get_all_session_ids(self) -> list[str]:
        def all_ids(cache: diskcache.Cache) -> list[str]:
            return [name[1] for name in _names(cache) if self._live(cache, *name)]

        return await self._transact(all_ids)

    async def clear_all(self) -> None:
        await self._transact(lambda cache: cache.clear())

    async def cleanup_expired_sessions(self) -> None:
        def clean_up(cache: diskcache.Cache) -> None:
            for name in list(_names(cache)):
                if self._live(cache, *name) is None:
                    self._forget(cache, name[0], [name[1]])

        await self._transact(clean_up)

    async def disconnect(self) -> None:
        cache, self.cache = self.cache, None
        if cache is not None:
            await self._threaded(cache.close)

    # -- rows in the cache -------------------------------------------------------------------------------------------

    def _open(self) -> diskcache.Cache:
        # No eviction by size, and all values in the database: sessions are not a cache.
        options = {"eviction_policy": "none", "disk_min_file_size": 2**30, "sqlite_synchronous": 2, "timeout": 10}
        cache = diskcache.Cache(str(self.path), disk=diskcache.JSONDisk, **options)
        for file in self.path.iterdir():
            file.chmod(0o600)
        return cache

    async def _transact(self, work: Callable[[diskcache.Cache], Result]) -> Result:
        cache = self.cache
        if cache is None:
            raise StorageError("this store is not open: await init() first")

        def run() -> Result:
            with cache.transact():
                return work(cache)

        try:
            return await self._threaded(run)
        except (diskcache.Timeout, sqlite3.OperationalError, OSError) as error:
            raise StorageUnavailableError("the cache did not answer in time; try again") from error

    async def _threaded(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)

    async def _listing(self, identity: str) -> list[tuple[str, str]]:
        _check(identity)

        def listing(cache: diskcache.Cache) -> list[tuple[str, str]]:
            ids = cache.get(_index(identity), [])
            return [(each, row) for each in ids if (row := self._live(cache, identity, each)) is not None]

        return await self._transact(listing)

    def _forget(self, cache: diskcache.Cache, identity: str, session_ids: list[str]) -> None:
        for session_id in session_ids:
            cache.pop(_key(identity, session_id))
        if left := [each for each in cache.get(_index(identity), []) if each not in session_ids]:
            cache[_index(identity)] = left
        else:
            cache.pop(_index(identity))

    def _live(self, cache: diskcache.Cache, identity: str, session_id: str) -> str | None:
        row: str | None = cache.get(_key(identity, session_id))
        return row if row is not None and self.clock() < json.loads(row)["expires_at"] else None

    # -- from session to row and back --------------------------------------------------------------------------------

    def _row(self, session: SessionData, ttl: float | None) -> str:
        return self._encoded(session.model_dump(), self._expiry(ttl))

    def _encoded(self, fields: dict[str, Any], expires_at: float) -> str:
        kept = {field: value for field, value in fields.items() if value is not None}
        if self.keyring:
            for field in SECRETS:
                if field in kept and not _is_envelope(kept[field]):
                    kept[field] = self.keyring.seal(kept[field])
        return json.dumps({"fields": kept, "expires_at": expires_at})

    def _session(self, row: str) -> SessionData:
        fields = json.loads(row)["fields"]
        session_id = fields["session_id"]
        for field in SECRETS:
            value = fields.get(field)
            clear = isinstance(value, dict) or (field == "code_verifier" and not _is_envelope(value))
            if value is not None and not clear:
                fields[field] = self._opened(session_id, field, value)
        return SessionData.model_validate(fields)

    def _opened(self, session_id: str, field: str, value: Any) -> Any:
        if self.keyring is None:
            raise DecryptionError(f"{field} of {session_id!r} can't be read: no key is set", session_id=session_id)
        try:
            return self.keyring.open(value)
        except DecryptionError as error:
            reason = str(error)
        raise DecryptionError(f"{field} of {session_id!r} can't be read: {reason}", session_id=session_id)

    def _expiry(self, ttl: float | None) -> float:
        seconds = self.default_ttl if ttl is None else ttl
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= LONGEST_TTL:
            raise InvalidSessionError(f"ttl must be a number of seconds above 0 and at most {LONGEST_TTL}")
        return self.clock() + seconds


def _check(*names: str) -> None:
    if not all(
        isinstance(name, str) and 1 <= len(name) <= 255 and "\0" not in name and _encodes(name) for name in names
    ):
        raise InvalidSessionError("identity and session id must have 1 to 255 characters, none of them NUL")


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _key(identity: str, session_id: str) -> list[str]:
    return ["session", identity, session_id]


def _index(identity: str) -> list[str]:
    return ["index", identity]


def _names(cache: diskcache.Cache) -> Iterator[tuple[str, str]]:
    for key in cache.iterkeys():
        if key[0] == "session":
            yield key[1], key[2]


def _is_envelope(value: object) -> bool:
    return isinstance(value, str) and value.startswith("enc:")
