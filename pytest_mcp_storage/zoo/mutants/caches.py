"""Stores that cache what they have read, and miss some changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate
from reference_backends.core.validation import check_names


class _Caching(InMemoryBackend):
    """Base: caches the answers of the read ``cached`` until any change except the one called ``missed``.

    With ``missed = "time"`` the cache outlives the TTL; otherwise an answer is used only at the time it was cached.
    """

    cached: ClassVar[str]
    missed: ClassVar[str]

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.answers: dict[Any, Any] = {}

    def changed(self, call: str) -> None:
        if call != self.missed:
            self.answers.clear()

    async def recalled(self, read: Callable[..., Awaitable[Any]], *arguments: str) -> Any:
        if read.__name__ != self.cached:
            return await read(*arguments)
        key = (0 if self.missed == "time" else self._clock(), *arguments)
        if key not in self.answers:
            self.answers[key] = await read(*arguments)
        kept = self.answers[key]
        return list(kept) if isinstance(kept, list) else kept

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found: SessionData | None = await self.recalled(super().get_session, identity, session_id)
        return found

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found: list[SessionData] = await self.recalled(super().get_identity_sessions_data, identity)
        return found

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        found: list[str] = await self.recalled(super().get_identity_mcp_sessions, identity)
        return found

    async def get_all_session_ids(self) -> list[str]:
        found: list[str] = await self.recalled(super().get_all_session_ids)
        return found

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.changed("create")

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self.changed("update")

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.changed("remove")

    async def clear_all(self) -> None:
        await super().clear_all()
        self.changed("clear")


@broken("RT-1")
class RemembersThatItWasNotThere(_Caching):
    """Caches misses as well as hits; a create does not remove the cached miss."""

    cached, missed = "get_session", "create"


@broken("LC-3", "LC-4", "RT-4")
class RemembersWhatWasUpdated(_Caching):
    """Invalidates the cache on removal, and not on update."""

    cached, missed = "get_session", "update"


@broken("LC-8")
class RemembersWhatWasRemoved(_Caching):
    """Keeps a removed session in the cache: the code of the delete does not invalidate it."""

    cached, missed = "get_session", "remove"


@broken("LC-10")
class RemembersWhatWasCleared(_Caching):
    """Clears the table and not the cache in front of it."""

    cached, missed = "get_session", "clear"


@broken("ID-1")
class ListsWithoutTheNew(_Caching):
    """Caches the listing until one of its sessions changes; a new session changes none of them."""

    cached, missed = "get_identity_sessions_data", "create"


@broken("ID-1", "LC-8")
class ListsTheRemoved(_Caching):
    """Invalidates the cached session, and not the cached listing that holds it."""

    cached, missed = "get_identity_sessions_data", "remove"


@broken("ID-2")
class IdsWithoutTheNew(_Caching):
    """The same for the listing of ids."""

    cached, missed = "get_identity_mcp_sessions", "create"


@broken("ID-2", "LC-8")
class IdsOfTheRemoved(_Caching):
    """The same for the listing of ids."""

    cached, missed = "get_identity_mcp_sessions", "remove"


@broken("EX-2")
class IdsOutliveTheTtl(_Caching):
    """Keeps the listing of ids until somebody writes; nobody writes when a session expires."""

    cached, missed = "get_identity_mcp_sessions", "time"


@broken("ID-7", "LC-8")
class AllIdsOfTheRemoved(_Caching):
    """Refreshes the list of all ids rarely, since only an administrator asks for it."""

    cached, missed = "get_all_session_ids", "remove"


@broken("LC-10")
class AllIdsOfTheCleared(_Caching):
    """Clears everything except the cached list of all ids."""

    cached, missed = "get_all_session_ids", "clear"


@broken("EX-2")
class AllIdsOutliveTheTtl(_Caching):
    """Keeps the list of all ids until somebody writes."""

    cached, missed = "get_all_session_ids", "time"


class _Publishing(InMemoryBackend):
    """Base: each handle keeps what it read until the session expires, or until a handle publishes its name."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.cache: dict[SessionKey, Row] = {}
        self.handles: list[_Publishing] = vars(store).setdefault("handles", [])
        self.handles.append(self)

    def publish(self, identity: str, session_id: str) -> None:
        for handle in self.handles:
            handle.cache.pop((identity, session_id), None)

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.publish(session.identity, session.session_id)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self.publish(identity, session_id)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.publish(identity, session_id)

    async def clear_all(self) -> None:
        await super().clear_all()
        for handle in self.handles:
            handle.cache.clear()

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = check_names(identity, session_id)
        self._require_open()
        if self.live(self.cache, name) is None and (row := await self.call(lambda rows: self.live(rows, name))):
            self.cache[name] = row
        row = self.live(self.cache, name)
        return None if row is None else self.shown(row.record)


@broken("CO-4")
class ClearIsNotPublished(_Publishing):
    """Publishes each name that it writes; ``clear_all`` has none to publish."""

    async def clear_all(self) -> None:
        await InMemoryBackend.clear_all(self)
        self.cache.clear()


@broken("CO-4")
class RenewalIsNotPublished(_Publishing):
    """Publishes what changes a field, and a renewal changes none: others go by the old expiry."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if changes:
            return await super().update_session(identity, session_id, changes, ttl)
        await InMemoryBackend.update_session(self, identity, session_id, changes, ttl)
        self.cache.pop((identity, session_id), None)
        return None
