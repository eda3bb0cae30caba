"""Stores whose call is several requests, of which one may fail."""

from __future__ import annotations

from functools import partial

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate, StorageUnavailableError
from reference_backends.core.validation import check_identity

FOREVER = 3_000_000_000
"""Seconds."""


@broken("FA-5")
class CreatesEndlessFirst(InMemoryBackend):
    """Creates by SET and EXPIRE. If the second request fails the session never ends."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, FOREVER)
        ends = self._expiry(ttl)

        def expire(rows: Rows) -> None:
            name = self.key(session.identity, session.session_id)
            rows[name] = rows[name]._replace(expires_at=ends)

        await self.call(expire)


@broken("FA-5")
class ChangesThenExpires(InMemoryBackend):
    """Changes the fields first and the end after that: if that fails, the fields are new and the end is old."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, ends = self.key(identity, session_id), self._expiry(ttl)
        before = self.store.rows.get(name)
        await super().update_session(identity, session_id, changes, ttl)
        if before is None:
            return
        self.store.rows[name] = self.store.rows[name]._replace(expires_at=before.expires_at)

        def expire(rows: Rows) -> None:
            if name in rows:
                rows[name] = rows[name]._replace(expires_at=ends)

        await self.call(expire)


class _Indexed(InMemoryBackend):
    """Base: has an index of the ids of each identity, which a separate request changes."""

    @property
    def index(self) -> dict[str, list[SessionKey]]:
        found: dict[str, list[SessionKey]] = vars(self.store).setdefault("index", {})
        return found

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return await self.call(lambda rows: [name[1] for name in self.index.get(identity, ())])

    async def add(self, name: SessionKey) -> None:
        await self.call(lambda rows: self.index.setdefault(name[0], []).append(name))


@broken("FA-5")
class IndexesFirst(_Indexed):
    """Adds the id to the index before it writes the row: if that fails, the listing of ids shows what is not there."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if await self.get_session(session.identity, session.session_id) is None:
            await self.add(self.key(session.identity, session.session_id))
        await super().create_session(session, ttl)


@broken("FA-5")
class CallsAConflictTaken(InMemoryBackend):
    """Takes every conflict for a session that exists already, which a create then reports."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except Exception as error:
            if isinstance(error.__cause__, ConnectionAbortedError):
                raise KeyError("conflict") from error
            raise


@broken("FA-5")
class ShowsWhatItHas(InMemoryBackend):
    """Lists page by page, and returns the pages that it has if a later one fails."""

    page_size = 350

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        check_identity(identity)
        found: list[str] = []
        while True:
            try:
                page = await self.call(partial(self._page, identity, found[-1] if found else ""))
            except StorageUnavailableError:
                if not found:
                    raise
                return found
            found += page
            if len(page) < self.page_size:
                return found

    def _page(self, identity: str, after: str, rows: Rows) -> list[str]:
        return sorted(each for each in self.of(rows, identity) if each > after)[: self.page_size]
