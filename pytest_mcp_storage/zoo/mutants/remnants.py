"""Stores that leave a secret outside of the row: of one kind only, on one path only, or long after (EN-1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.mutants.secrets import _KeepsMore
from reference_backends import InvalidSessionError, SessionData, SessionNotFoundError, SessionUpdate


class _Notes(InMemoryBackend):
    """Base: a table of notes in addition to the sessions."""

    async def note(self, subject: str, content: object) -> None:
        text = json.dumps(content, default=str)
        note = Row({"identity": "", "session_id": "", "note": text}, float("inf"))
        await self.call(lambda rows: rows.update({("", subject): note}))


@broken("EN-1")
class IndexesRefreshTokens(_KeepsMore):
    """Finds sessions by their refresh token, in an index that holds them in clear."""

    def remnant(self, fields: Mapping[str, Any]) -> str:
        return str((fields.get("tokens") or {}).get("refresh_token"))


@broken("EN-1")
class KeepsIdTokens(_KeepsMore):
    """Keeps the id token apart, as if it were no secret: servers accept it as a login."""

    def remnant(self, fields: Mapping[str, Any]) -> str:
        return str((fields.get("tokens") or {}).get("id_token"))


@broken("EN-1")
class KeepsCookies(_KeepsMore):
    """Treats the Authorization header as the only secret one."""

    def remnant(self, fields: Mapping[str, Any]) -> str:
        return str((fields.get("headers") or {}).get("Cookie"))


@broken("EN-1")
class DumpsInHex(_KeepsMore):
    """Keeps the request as a dump to read in a debugger, two digits and a space for a byte."""

    def remnant(self, fields: Mapping[str, Any]) -> str:
        return json.dumps(dict(fields)).encode().hex(" ")


@broken("EN-1")
class CachesWhatIsRead(_Notes):
    """Puts what it has decrypted into a second table, to decrypt it only once."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        session = await super().get_session(identity, session_id)
        if session is not None:
            await self.note(f"cache {session_id}", session.model_dump())
        return session


@broken("EN-1")
class CachesListings(_Notes):
    """Keeps the last page of a listing for the next request."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found = await super().get_identity_sessions_data(identity)
        await self.note(f"page {identity}", [each.model_dump() for each in found])
        return found


@broken("EN-1")
class ArchivesWhatExpired(_Notes):
    """Moves expired sessions to an archive, for support, decrypted so that support can read them."""

    async def cleanup_expired_sessions(self) -> None:
        def expired(rows: Rows) -> list[Row]:
            return [row for name, row in rows.items() if name[0] and not self.live(rows, name)]

        past = await self.call(expired)
        await super().cleanup_expired_sessions()
        for row in past:
            await self.note(f"past {row.record['session_id']}", self.shown(row.record).model_dump())


@broken("EN-1")
class BacksUpBeforeClearing(_Notes):
    """Exports everything before it is cleared, in case that was a mistake."""

    async def clear_all(self) -> None:
        rows = await self.call(dict)
        await super().clear_all()
        await self.note("backup", [self.shown(row.record).model_dump() for name, row in rows.items() if name[0]])


@broken("EN-1")
class KeepsLateUpdates(_Notes):
    """Keeps an update that came before its session's create, or too late."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except SessionNotFoundError:
            await self.note(f"late {session_id}", changes)
            raise


@broken("EN-1")
class KeepsBadRequests(_Notes):
    """Keeps requests that are not valid, for the client's author."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        try:
            await super().create_session(session, ttl)
        except InvalidSessionError:
            await self.note("bad", session.model_dump())
            raise


@broken("EN-1")
class KeepsHistoryOfTwo(_Notes):
    """Keeps the values that a second update replaces, and not those of a first one."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        updated = await self.call(lambda rows: ("", f"once {session_id}") in rows)
        before = await self.get_session(identity, session_id) if updated else None
        await super().update_session(identity, session_id, changes, ttl)
        await self.note(f"once {session_id}", before.model_dump() if before else None)


@broken("EN-1", "MX-2")
class SealsWithoutTtlAlone(InMemoryBackend):
    """Has a separate statement for sessions with a ttl, and seals in the other."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        name = identity, session_id

        def put_in_clear(rows: Rows) -> None:
            if ttl is not None and name in rows:
                rows[name] = rows[name]._replace(record={**rows[name].record, **changes})

        await self.call(put_in_clear)
