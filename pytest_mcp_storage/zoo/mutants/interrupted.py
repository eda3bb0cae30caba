"""Stores that do a write in two requests, or keep a question that got no answer (FA-2, FA-3)."""

from __future__ import annotations

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import (
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SessionUpdate,
    StorageUnavailableError,
)
from reference_backends.core.validation import check_changes, check_session

NEVER = 10**12
"""Seconds since the epoch; means no expiry."""


@broken("FA-3", "EX-2")
class SetsThenExpires(InMemoryBackend):
    """Creates by SET and then EXPIRE: if the first answer is lost, the session is there and never ends."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name, end = (session.identity, session.session_id), self._expiry(ttl)
        record = self.kept(check_session(session))

        def insert(rows: Rows) -> None:
            if self.live(rows, name):
                raise SessionExistsError("that session exists already")
            rows[name] = Row(record, NEVER)

        await self.call(insert)
        await self.call(lambda rows: name in rows and rows.__setitem__(name, rows[name]._replace(expires_at=end)))


@broken("FA-3", "EX-2")
class SetsAnewThenExpires(InMemoryBackend):
    """Updates by SET, which drops the TTL, and then EXPIRE: if the first answer is lost, the session never ends."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, named, end = (identity, session_id), check_changes(changes), self._expiry(ttl)

        def change(rows: Rows) -> None:
            row = self.live(rows, name)
            if row is None:
                raise SessionNotFoundError("there is no such session")
            rows[name] = Row(self.merged(row.record, named), NEVER)

        await self.call(change)
        await self.call(lambda rows: name in rows and rows.__setitem__(name, rows[name]._replace(expires_at=end)))


@broken("FA-2")
class FirstAnswerIsOld(InMemoryBackend):
    """Keeps a question that an outage left without an answer: the next read gets the answer to that one."""

    unanswered: SessionKey | None = None

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = self.unanswered or (identity, session_id)
        self.unanswered = None
        try:
            return await super().get_session(*name)
        except StorageUnavailableError:
            self.unanswered = identity, session_id
            raise


@broken("FA-2")
class FirstListingIsOld(InMemoryBackend):
    """The same for the listings."""

    unanswered = ""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        asked, self.unanswered = self.unanswered or identity, ""
        try:
            return await super().get_identity_sessions_data(asked)
        except StorageUnavailableError:
            self.unanswered = identity
            raise


@broken("FA-2")
class WritesOnceMore(InMemoryBackend):
    """Keeps an update that an outage cut short, reports the outage, and sends the update later."""

    late: tuple[str, str, SessionUpdate, float | None] | None = None

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        late, self.late = self.late, None
        try:
            await super().update_session(identity, session_id, changes, ttl)
            if late is not None:
                await super().update_session(*late)
        except StorageUnavailableError:
            self.late = identity, session_id, changes, ttl
            raise


@broken("FA-2")
class FirstUpdateGoesToTheOldName(InMemoryBackend):
    """Keeps the name of a read that an outage cut short, and writes the next update to it."""

    unanswered: SessionKey | None = None

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        try:
            return await super().get_session(identity, session_id)
        except StorageUnavailableError:
            self.unanswered = identity, session_id
            raise

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, self.unanswered = self.unanswered or (identity, session_id), None
        await super().update_session(*name, changes, ttl)


@broken("FA-3", "EX-2")
class RenewsWithoutAnEnd(InMemoryBackend):
    """Renews by PERSIST and then EXPIRE: if the first answer is lost, the session never ends."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name, end = (identity, session_id), self._expiry(ttl)
        if not changes:
            await self.call(lambda rows: self._persist(rows, name))
        await super().update_session(identity, session_id, changes, end - self._clock())

    def _persist(self, rows: Rows, name: SessionKey) -> None:
        row = self.live(rows, name)
        if row is None:
            raise SessionNotFoundError("there is no such session")
        rows[name] = row._replace(expires_at=NEVER)
