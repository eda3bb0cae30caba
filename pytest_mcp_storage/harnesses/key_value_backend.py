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
PARTS = 16
"""An identity's list of session ids has this many parts, so that one create rewrites a small part."""


class KeyValueBackend(BaseBackend):
    """A session store on a key-value store: a session is the value of the key *session id* in a collection.

    A key-value store has no compare-and-set and no listing. So writes of one identity wait for each other, and the ids
    are kept in separate values. An id is listed before its session is stored and until after it is removed; a
    listing leaves out ids without a session. Expiry is the store's.
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
                    await self._list("identities", "", identity)
                await self._list(identity, part_of(session_id), session_id)
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
                await self._unlist(identity, part_of(session_id), [session_id])

    async def get_all_session_ids(self) -> list[str]:
        return [session_id for identity in await self._identities() for session_id in await self._live(identity)]

    async def clear_all(self) -> None:
        store = self._opened_store()
        for identity in await self._identities():
            with _as_storage_errors():
                async with self._locks[identity]:
                    for part, ids in (await self._parts(identity)).items():
                        for session_id in ids:
                            await store.delete(session_id, collection=self._sessions(identity))
                        await store.delete(_key(identity, part), collection=self._prefix)
                    await self._forget(identity)

    async def cleanup_expired_sessions(self) -> None:
        self._opened_store()
        for identity in await self._identities():
            with _as_storage_errors():
                async with self._locks[identity]:
                    live = await self._live(identity)
                    for part, ids in (await self._parts(identity)).items():
                        await self._unlist(identity, part, [each for each in ids if each not in live])
                    if not live:
                        await self._forget(identity)

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
        store = self._opened_store()
        with _as_storage_errors():
            listed = await store.get(_key("identities", ""), collection=self._prefix) or {"names": []}
        return list(listed["names"])

    async def _parts(self, identity: str) -> dict[str, list[str]]:
        """Return the ids that are listed, live or not, by part."""
        parts = [f"{number:x}" for number in range(PARTS)]
        found = await self._opened_store().get_many([_key(identity, part) for part in parts], collection=self._prefix)
        return {part: listed["names"] for part, listed in zip(parts, found, strict=True) if listed is not None}

    async def _live(self, identity: str) -> dict[str, dict[str, Any]]:
        """Return the identity's sessions as stored, by id."""
        store = self._opened_store()
        with _as_storage_errors():
            ids = [each for listed in (await self._parts(identity)).values() for each in listed]
            values = await store.get_many(ids, collection=self._sessions(identity)) if ids else []
        return {session_id: value for session_id, value in zip(ids, values, strict=True) if value is not None}

    async def _list(self, owner: str, part: str, name: str) -> None:
        store, key = self._opened_store(), _key(owner, part)
        listed = await store.get(key, collection=self._prefix) or {"names": []}
        if name not in listed["names"]:
            await store.put(key, {"names": [*listed["names"], name]}, collection=self._prefix)

    async def _unlist(self, owner: str, part: str, names: list[str]) -> None:
        store, key = self._opened_store(), _key(owner, part)
        listed = await store.get(key, collection=self._prefix) or {"names": []}
        left = [each for each in listed["names"] if each not in names]
        if not left:
            await store.delete(key, collection=self._prefix)
        elif len(left) < len(listed["names"]):
            await store.put(key, {"names": left}, collection=self._prefix)

    async def _forget(self, identity: str) -> None:
        async with self._locks[""]:
            await self._unlist("identities", "", [identity])


async def made_by(make: Callable[[], Any]) -> AsyncKeyValue:
    """Return the store that a factory makes. Raises ``TypeError`` if it is none."""
    made = make()
    store: AsyncKeyValue = await made if inspect.isawaitable(made) else made
    if missing := [f"{name}()" for name in NEEDED if not callable(getattr(store, name, None))]:
        raise TypeError(f"the factory returned {type(store).__name__}, which is no py-key-value store: it has no "
                        f"{', '.join(missing)}")  # fmt: skip
    return store


def part_of(session_id: str) -> str:
    """Return the part of the list that the id belongs to."""
    return f"{hashlib.sha256(session_id.encode()).digest()[0] % PARTS:x}"


def _key(owner: str, part: str) -> str:
    """Return the key of a list. It is hashed, so that names which the store confuses do not spoil the lists too."""
    return hashlib.sha256(f"{part}:{owner}".encode()).hexdigest()


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
