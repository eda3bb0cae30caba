"""Stores that change something in a refused call, or accept what they should refuse."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import InvalidSessionError, SessionData, SessionExistsError, SessionNotFoundError, SessionUpdate
from reference_backends.core.record import CREDENTIALS, from_wire
from reference_backends.core.validation import check_changes, check_names, check_session


class _TouchesById(InMemoryBackend):
    """Base: sets the end of every session with this id, under any identity."""

    async def touch(self, session_id: str, ttl: float | None) -> list[SessionKey]:
        expires_at = self._expiry(ttl)

        def touch(rows: Rows) -> list[SessionKey]:
            found = [name for name in rows if name[1] == session_id and self.live(rows, name)]
            for name in found:
                rows[name] = rows[name]._replace(expires_at=expires_at)
            return found

        return await self.call(touch)


@broken("LC-7")
class StrangersRenew(_TouchesById):
    """Renews by the id (EXPIRE), then looks whose session it is."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        check_changes(changes)
        if name not in await self.touch(session_id, ttl):
            raise SessionNotFoundError("there is no such session")
        await super().update_session(identity, session_id, changes, ttl)


@broken("ID-4")
class RenewsByTheIdAlone(_TouchesById):
    """Changes the row by both names and its end by the id: another identity's session with that id is renewed too."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        await self.touch(session_id, ttl)


@broken("ID-4")
class TakenIdsAreRenewed(_TouchesById):
    """Inserts by ``ON CONFLICT (session_id) DO UPDATE SET expires_at``, then refuses the id of another identity."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        check_session(session)
        self._expiry(ttl)
        name = session.identity, session.session_id
        others = await self.call(
            lambda rows: [each for each in rows if each[1] == name[1] and each != name and self.live(rows, each)]
        )
        if others:
            await self.touch(session.session_id, ttl)
            raise SessionExistsError("that id is taken")
        await super().create_session(session, ttl)


@broken("LC-6")
class TakesItsOwnColumns(InMemoryBackend):
    """Allows every column of its table: also internal ones, such as the end and the owner."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        own = ("expires_at", "updated_at", "user_id")
        named: Any = {field: value for field, value in changes.items() if field not in own}
        await super().update_session(identity, session_id, named, ttl)


@broken("LC-6")
class ChecksOneSpelling(InMemoryBackend):
    """Takes camelCase too, and looks for the fields that never change before it translates."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if {"identity", "session_id"} & {*changes}:
            raise InvalidSessionError("identity and session_id never change")
        named: Any = {field: value for field, value in from_wire(changes).items() if field != "session_id"}
        await super().update_session(identity, session_id, named, ttl)


@broken("LC-7")
class SealsAfterItWrote(InMemoryBackend):
    """Writes the plain columns, then encodes and seals the secret ones, which may not be JSON."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        self._expiry(ttl)
        plain: Any = {field: value for field, value in changes.items() if field not in CREDENTIALS}
        named = check_changes(plain)

        def write(rows: Rows) -> None:
            if row := self.live(rows, name):
                rows[name] = row._replace(record=self.merged(row.record, named))

        await self.call(write)
        await super().update_session(identity, session_id, changes, ttl)


@broken("EX-8")
class HugeOverflows(InMemoryBackend):
    """Asks ``math.isfinite(ttl)``, which is an OverflowError for an integer that no float can hold."""

    def _lifetime(self, ttl: float | None) -> float:
        if isinstance(ttl, int):
            float(ttl)
        return super()._lifetime(ttl)
