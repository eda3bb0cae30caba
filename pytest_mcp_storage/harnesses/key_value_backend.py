"""Sessions kept in a py-key-value store, so that the suite can judge that store."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from key_value.aio.errors import BaseKeyValueError, StoreConnectionError, StoreSetupError

from reference_backends.core.base import BaseBackend
from reference_backends.core.errors import (
    SessionExistsError,
    SessionNotFoundError,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)
from reference_backends.core.protocol import DEFAULT_TTL
from reference_backends.core.session import SessionData, SessionUpdate
from reference_backends.core.validation import check_changes, check_identity, check_names, check_session

if TYPE_CHECKING:
    from key_value.aio.protocols.key_value import AsyncKeyValue

Locks = defaultdict[str, asyncio.Lock]
"""By identity; the empty text is for the list of identities. All handles of a harness share them."""

NEEDED = ("get", "get_many", "put", "delete")
IDENTITIES = "identities"
"""The key of the list of identities."""


class KeyValueBackend(BaseBackend):
    """A session store on a key-value store: a session is the value of the key *session id* in a collection.

    A key-value store has no compare-and-set and no listing. So writes of one identity wait for each other, and each
    identity's ids are kept in a separate value. An id is listed before its session is stored and until after it is
    removed; a listing leaves out ids without a session. An identity is listed as long as one of its ids is. Expiry is
    the store's.
    """

    label = "key-value"

    def __init__(
        self,
        make: Callable[[], AsyncKeyValue | Awaitable[AsyncKeyValue]],
        *,
        prefix: str,
        locks: Locks,
        default_ttl: float = DEFAULT_TTL,
    ) -> None:
        super().__init__(default_ttl=default_ttl)
        self._make = make
        self._prefix = prefix
        self._locks = locks
        self._store: AsyncKeyValue | None = None

    async def init(self) -> None:
        if self._store is None:
            with _as_storage_errors():
                self._store = await made_by(self._make)
        self._open = True

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        session, seconds = check_session(session), self._lifetime(ttl)
        identity, session_id = session.identity, session.session_id
        store = self._opened_store()
        with _as_storage_errors():
            async with self._locks[identity]:
                if await store.get(session_id, collection=self._sessions(identity)) is not None:
                    raise SessionExistsError(f"session {session_id!r} exists already")
                async with self._locks[""]:
                    await self._list(IDENTITIES, identity)
                await self._list(_key(identity), session_id)
                await self._put(session, seconds)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = check_names(identity, session_id)
        named, seconds = check_changes(changes), self._lifetime(ttl)
        self._opened_store()
        with _as_storage_errors():
            async with self._locks[identity]:
                session = await self.get_session(identity, session_id)
                if session is None:
                    raise SessionNotFoundError(f"there is no live session {session_id!r} of this identity")
                await self._put(session.model_copy(update=named), seconds)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        identity, session_id = check_names(identity, session_id)
        store = self._opened_store()
        with _as_storage_errors():
            value = await store.get(session_id, collection=self._sessions(identity))
        return None if value is None else SessionData.model_validate(value)

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [SessionData.model_validate(value) for value in (await self._live(check_identity(identity))).values()]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return list(await self._live(check_identity(identity)))

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = check_names(identity, session_id)
        store = self._opened_store()
        with _as_storage_errors():
            async with self._locks[identity]:
                await store.delete(session_id, collection=self._sessions(identity))
                await self._unlist(identity, [session_id])

    async def get_all_session_ids(self) -> list[str]:
        return [session_id for identity in await self._identities() for session_id in await self._live(identity)]

    async def clear_all(self) -> None:
        store = self._opened_store()
        for identity in await self._identities():
            with _as_storage_errors():
                async with self._locks[identity]:
                    ids = await self._listed(_key(identity))
                    for session_id in ids:
                        await store.delete(session_id, collection=self._sessions(identity))
                    await self._unlist(identity, ids)

    async def cleanup_expired_sessions(self) -> None:
        self._opened_store()
        for identity in await self._identities():
            with _as_storage_errors():
                async with self._locks[identity]:
                    live = await self._live(identity)
                    ids = await self._listed(_key(identity))
                    await self._unlist(identity, [each for each in ids if each not in live])

    async def disconnect(self) -> None:
        store, self._store, self._open = self._store, None, False
        close = getattr(store, "close", None)
        if close is not None:
            with _as_storage_errors():
                await close()

    def _opened_store(self) -> AsyncKeyValue:
        self._require_open()
        if self._store is None:
            raise self._not_open()
        return self._store

    def _sessions(self, identity: str) -> str:
        """Return the collection of an identity's sessions. The store sees identities and ids as they are."""
        return f"{self._prefix}-{identity}"

    async def _put(self, session: SessionData, seconds: float) -> None:
        value = session.model_dump(exclude_none=True)
        collection = self._sessions(session.identity)
        await self._opened_store().put(session.session_id, value, collection=collection, ttl=seconds)

    async def _identities(self) -> list[str]:
        self._opened_store()
        with _as_storage_errors():
            return await self._listed(IDENTITIES)

    async def _live(self, identity: str) -> dict[str, dict[str, Any]]:
        """Return the identity's sessions as stored, by id."""
        store = self._opened_store()
        with _as_storage_errors():
            ids = await self._listed(_key(identity))
            values = await store.get_many(ids, collection=self._sessions(identity)) if ids else []
        return {session_id: value for session_id, value in zip(ids, values, strict=True) if value is not None}

    async def _listed(self, key: str) -> list[str]:
        """Return a list's names: of identities, or of ids, live or not."""
        listed = await self._opened_store().get(key, collection=self._prefix) or {"names": []}
        return list(listed["names"])

    async def _list(self, key: str, name: str) -> None:
        names = await self._listed(key)
        if name not in names:
            await self._opened_store().put(key, {"names": [*names, name]}, collection=self._prefix)

    async def _unlist(self, identity: str, ids: list[str]) -> None:
        """Remove ids from the identity's list, and the identity from the list of identities if none is left."""
        if not await self._shorten(_key(identity), ids):
            async with self._locks[""]:
                await self._shorten(IDENTITIES, [identity])

    async def _shorten(self, key: str, names: list[str]) -> list[str]:
        """Remove names from a list, and return those that are left."""
        listed = await self._listed(key)
        left = [each for each in listed if each not in names]
        if not left:
            await self._opened_store().delete(key, collection=self._prefix)
        elif len(left) < len(listed):
            await self._opened_store().put(key, {"names": left}, collection=self._prefix)
        return left


async def made_by(make: Callable[[], Any]) -> AsyncKeyValue:
    """Return the store that a factory makes. Raises ``TypeError`` if it is none."""
    made = make()
    store: AsyncKeyValue = await made if inspect.isawaitable(made) else made
    if missing := [f"{name}()" for name in NEEDED if not callable(getattr(store, name, None))]:
        raise TypeError(f"the factory returned {type(store).__name__}, which is no py-key-value store: it has no "
                        f"{', '.join(missing)}")  # fmt: skip
    return store


def _key(identity: str) -> str:
    """Return the key of a list of ids. It is hashed: names that the store confuses do not spoil the lists too."""
    return hashlib.sha256(identity.encode()).hexdigest()


@contextmanager
def _as_storage_errors() -> Iterator[None]:
    try:
        yield
    except StoreConnectionError as error:
        raise StorageUnavailableError(str(error)) from error
    except StoreSetupError as error:
        raise StorageSetupError(str(error)) from error
    except BaseKeyValueError as error:
        raise StorageError(str(error)) from error
