"""py-key-value's ``AsyncKeyValue`` on any session store: durable, encrypted storage for FastMCP.

::

    storage = SqliteStorageBackend("oauth.db", encryption_key=key)
    provider = GitHubProvider(..., client_storage=SessionKeyValue(storage))
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, SupportsFloat

from reference_backends.core.errors import (
    DecryptionError,
    SessionExistsError,
    SessionNotFoundError,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)
from reference_backends.core.protocol import Clock, StorageBackend
from reference_backends.core.session import SessionData
from reference_backends.core.validation import LONGEST_TTL

try:
    from key_value.aio.errors import (
        DeserializationError,
        InvalidTTLError,
        KeyValueStoreError,
        SerializationError,
        StoreConnectionError,
        StoreSetupError,
    )
except ImportError as error:
    raise ImportError("SessionKeyValue needs py-key-value: pip install 'pytest-mcp-storage[key-value]'") from error

MOST_ATTEMPTS = 100
"""How often ``put`` is tried while others create and delete the same key; at each attempt one of them succeeds."""

Stored = tuple[dict[str, Any], float | None]
"""A value, and the moment at which it expires."""


class SessionKeyValue:
    """A key-value store whose entries are sessions of ``storage``. The storage is opened at the first call.

    A value is kept as JSON text in the session's tokens, so the storage's key encrypts it. Collection and key are
    hashed: the store shows neither. ``identity`` is the identity of all entries, such as the user id of a signed-in
    Supabase client; by default each collection has its own. ``clock`` must be the storage's.

    Errors are those of py-key-value; the storage's own error is their cause.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        identity: str | None = None,
        default_collection: str = "default_collection",
        clock: Clock = time.time,
    ) -> None:
        self.storage = storage
        self.default_collection = default_collection
        self._identity = identity
        self._clock = clock
        self._is_open = False
        self._opening = asyncio.Lock()

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """Return the value, or ``None``."""
        return (await self.ttl(key, collection=collection))[0]

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        """Return the value and the seconds that it has left, ``None`` for no end; ``(None, None)`` without a value."""
        stored = await self._read(*self._names(collection, key))
        if stored is None:
            return None, None
        value, expires_at = stored
        if expires_at is None:
            return value, None
        left = expires_at - self._clock()
        return (value, left) if left > 0 else (None, None)

    async def put(
        self,
        key: str,
        value: Mapping[str, Any],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Store the value, for ``ttl`` seconds if given. Raise ``SerializationError`` or ``InvalidTTLError``."""
        await self.put_many([key], [value], collection=collection, ttl=ttl)

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Remove the value. Return whether there was one; two calls at the same time may both say so."""
        names = self._names(collection, key)
        try:
            existed = await self.ttl(key, collection=collection) != (None, None)
        except DeserializationError:
            existed = True  # what can't be read can be removed
        with _as_key_value_errors():
            await self.storage.remove_session(*names)
        return existed

    async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
        """Return the values in the order of their keys, ``None`` where there is none."""
        return [await self.get(key, collection=collection) for key in keys]

    async def ttl_many(
        self, keys: Sequence[str], *, collection: str | None = None
    ) -> list[tuple[dict[str, Any] | None, float | None]]:
        """Return values and seconds left, as :meth:`ttl` does, in the order of the keys."""
        return [await self.ttl(key, collection=collection) for key in keys]

    async def put_many(
        self,
        keys: Sequence[str],
        values: Sequence[Mapping[str, Any]],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Store several values. Nothing is stored if one of them, or the ``ttl``, is not valid."""
        if len(keys) != len(values):
            raise ValueError("put_many needs as many values as keys")
        seconds, texts = _seconds(ttl), [_json_of(value) for value in values]
        for key, text in zip(keys, texts, strict=True):
            await self._write(*self._names(collection, key), text, seconds)

    async def delete_many(self, keys: Sequence[str], *, collection: str | None = None) -> int:
        """Remove several values. Return how many there were."""
        return sum([await self.delete(key, collection=collection) for key in keys])

    async def cull(self) -> None:
        """Remove what has expired from the storage, other sessions of it included."""
        await self._open()
        with _as_key_value_errors():
            await self.storage.cleanup_expired_sessions()

    def _names(self, collection: str | None, key: str) -> tuple[str, str]:
        """Return identity and session id. No two entries have one id: some stores refuse that (ID-4)."""
        collection = collection or self.default_collection
        identity = self._identity or f"kv-{_digest(collection)}"
        return identity, f"kv{_digest(identity, collection, key)}"

    async def _open(self) -> None:
        if not self._is_open:
            async with self._opening:
                if not self._is_open:
                    with _as_key_value_errors():
                        await self.storage.init()
                    self._is_open = True

    async def _read(self, identity: str, session_id: str) -> Stored | None:
        await self._open()
        with _as_key_value_errors():
            session = await self.storage.get_session(identity, session_id)
        if session is None:
            return None
        try:
            tokens = session.tokens or {}
            value, expires_at = json.loads(tokens["value"]), tokens["expires_at"]
        except (KeyError, TypeError, ValueError, RecursionError):
            pass
        else:
            return value, expires_at
        raise DeserializationError(f"session {session_id} does not hold an entry of a key-value store; remove it")

    async def _write(self, identity: str, session_id: str, text: str, seconds: float | None) -> None:
        """Create the session, or update it if it exists. Another caller may remove it or create it meanwhile."""
        await self._open()
        now = self._clock()
        expires_at = None if seconds is None else now + seconds
        session = SessionData(
            identity=identity,
            session_id=session_id,
            server_url="urn:py-key-value",
            transport_type="streamable_http",
            callback_url="",
            created_at=int(now * 1000),
            tokens={"value": text, "expires_at": expires_at},
        )
        lifetime = LONGEST_TTL if seconds is None else min(seconds, LONGEST_TTL)
        with _as_key_value_errors():
            for _ in range(MOST_ATTEMPTS):
                try:
                    return await self.storage.create_session(session, lifetime)
                except SessionExistsError:
                    pass
                try:
                    changes: Any = {"tokens": session.tokens, "created_at": session.created_at}
                    return await self.storage.update_session(identity, session_id, changes, lifetime)
                except SessionNotFoundError:
                    pass
        raise KeyValueStoreError(f"session {session_id} was created and removed {MOST_ATTEMPTS} times meanwhile; retry")


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _json_of(value: object) -> str:
    """Return ASCII text, which every store keeps unchanged, whatever it thinks of large numbers and deep objects."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise SerializationError("a value must be a mapping with text keys")
    try:
        return json.dumps(dict(value))
    except (TypeError, ValueError, RecursionError) as error:
        reason = type(error).__name__
    raise SerializationError(f"the value can't be written as JSON ({reason}); convert it before you store it")


def _seconds(ttl: SupportsFloat | None) -> float | None:
    if ttl is None:
        return None
    try:
        seconds = math.nan if isinstance(ttl, bool) else float(ttl)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidTTLError(ttl)
    return seconds


@contextmanager
def _as_key_value_errors() -> Iterator[None]:
    try:
        yield
    except StorageUnavailableError as error:
        raise StoreConnectionError(str(error)) from error
    except StorageSetupError as error:
        raise StoreSetupError(str(error)) from error
    except DecryptionError as error:
        raise DeserializationError(str(error)) from error
    except StorageError as error:
        raise KeyValueStoreError(str(error)) from error
