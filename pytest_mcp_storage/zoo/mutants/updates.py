"""Stores that update carelessly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionNotFoundError, SessionUpdate
from reference_backends.core.record import Record
from reference_backends.core.validation import check_changes, check_names


@broken("LC-3")
class MergesObjects(InMemoryBackend):
    """Updates JSON by a merge (``||``, ``Object.assign``): scopes that were taken back stay."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        def merge(name: str, value: Any) -> Any:
            old = record.get(name)
            return (
                {**old, **value} if isinstance(old, dict) and isinstance(value, dict) and name != "headers" else value
            )

        return super().merged(record, {name: merge(name, value) for name, value in named.items()})


@broken("LC-3")
class EmptyUpdateIsRefused(InMemoryBackend):
    """Builds ``UPDATE … SET`` from the named fields, and an empty list is a syntax error."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if not changes:
            raise ValueError("nothing to update")
        await super().update_session(identity, session_id, changes, ttl)


@broken("LC-3")
class TouchesActive(InMemoryBackend):
    """Marks a session active whenever it is updated: its writer must be connected."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return super().merged(record, {"active": True, **named})


@broken("LC-3")
class KeepsTheFirstServerName(InMemoryBackend):
    """Treats a name as set once, by ``COALESCE`` the wrong way round."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return super().merged(record, {k: v for k, v in named.items() if k != "server_name" or k not in record})


@broken("LC-4")
class SkipsNone(InMemoryBackend):
    """Drops ``None`` from updates, as JSON.stringify drops undefined: revoked tokens stay."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return super().merged(record, {name: value for name, value in named.items() if value is not None})


@broken("LC-4")
class KeepsTheVerifier(InMemoryBackend):
    """Uses ``COALESCE(new, old)`` for the one column that an earlier bug had emptied."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return super().merged(record, {k: v for k, v in named.items() if k != "code_verifier" or v is not None})


@broken("LC-4")
class NoneBecomesEmpty(InMemoryBackend):
    """Clears a JSON column with ``{}`` because it is NOT NULL."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        empty: dict[str, Any] = {name: {} for name in ("tokens", "headers") if name in named and named[name] is None}
        return super().merged(record, {**named, **empty})


@broken("LC-4")
class TakesNoneForAUrl(InMemoryBackend):
    """Validates only what is not ``None``, and keeps the old value without a word."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        optional = {"server_url", "callback_url", "transport_type", "created_at"}
        kept: Any = {name: value for name, value in changes.items() if value is not None or name not in optional}
        await super().update_session(identity, session_id, kept, ttl)


@broken("LC-5")
class UpdateCreates(InMemoryBackend):
    """Updates by an upsert: a removed session comes back as a half one."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except SessionNotFoundError:
            blank: Any = {"server_url": "", "callback_url": "", "transport_type": "sse", "created_at": 0}
            named = {name: value for name, value in changes.items() if value is not None}
            session = SessionData.model_validate({"identity": identity, "session_id": session_id, **blank, **named})
            await self.create_session(session, ttl)


@broken("LC-5")
class UpdateOfNothingSucceeds(InMemoryBackend):
    """Sends the update and does not look at how many rows it met."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except SessionNotFoundError:
            return


@broken("LC-5")
class UpdatesByIdAlone(InMemoryBackend):
    """Has ``WHERE session_id = ?`` in the update and forgets the identity."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        owners = await self.call(lambda rows: [name[0] for name in rows if name[1] == session_id])
        owner = owners[0] if len(owners) == 1 else identity
        await super().update_session(owner, session_id, changes, ttl)


@broken("LC-6")
class LetsIdentityChange(InMemoryBackend):
    """Spreads the update over the session, as upstream does: ``{...current, ...data}``."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        named: dict[str, Any] = dict(changes)
        moved: Record = {name: named.pop(name) for name in ("identity", "session_id") if name in named}
        await super().update_session(identity, session_id, named, ttl)  # type: ignore[arg-type]

        def move(rows: Rows) -> None:
            row = rows[identity, session_id]
            rows[identity, session_id] = row._replace(record={**row.record, **moved})

        await self.call(move)


@broken("LC-6")
class IgnoresIdentityInUpdates(InMemoryBackend):
    """Drops the fields that may not change instead of refusing them: the caller believes that it moved the session."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        named: Any = {name: value for name, value in changes.items() if name not in ("identity", "session_id")}
        await super().update_session(identity, session_id, named, ttl)


@broken("LC-6")
class IgnoresUnknownFields(InMemoryBackend):
    """Picks the columns that it knows out of an update; a misspelt ``acess_token`` vanishes."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        known = {*SessionUpdate.__annotations__, "identity", "session_id"}
        named: Any = {name: value for name, value in changes.items() if name in known}
        await super().update_session(identity, session_id, named, ttl)


@broken("LC-7")
class ChecksAfterItWrote(InMemoryBackend):
    """Writes field by field, and meets the bad one when the good ones are already stored."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        for field, value in changes.items():
            single: Any = {field: value}
            named = check_changes(single)

            def write(rows: Rows, named: dict[str, Any] = named) -> None:
                if row := self.live(rows, name):
                    rows[name] = row._replace(record=self.merged(row.record, named))

            await self.call(write)
        await super().update_session(identity, session_id, changes, ttl)


@broken("LC-7")
class StoresThenChecksTheTtl(InMemoryBackend):
    """Inserts the row, then sets its expiry, which may be refused."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session)
        await super().update_session(session.identity, session.session_id, {}, ttl)


@broken("LC-3")
class MergesHeaders(InMemoryBackend):
    """Adds the new headers to the old ones, as an HTTP client does: one that was taken out is still sent."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        old, new = record.get("headers"), named.get("headers")
        added = {"headers": {**old, **new}} if isinstance(old, dict) and isinstance(new, dict) else {}
        return super().merged(record, {**named, **added})


@broken("LC-3")
class SkipsTheFalsy(InMemoryBackend):
    """Writes ``if value:`` and means ``is not None``: a session can't be made inactive."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return super().merged(record, {k: v for k, v in named.items() if k != "active" or v or v is None})


@broken("LC-4")
class KeepsTheClientId(InMemoryBackend):
    """Has seven columns in its list of those that may be emptied, and the table has eight."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return super().merged(record, {k: v for k, v in named.items() if k != "client_id" or v is not None})


@broken("LC-6")
class DropsNoneBeforeItChecks(InMemoryBackend):
    """Drops what is None and unknown before it checks the names: a misspelt name passes if its value is None."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        known = SessionUpdate.__annotations__
        named: Any = {name: value for name, value in changes.items() if value is not None or name in known}
        await super().update_session(identity, session_id, named, ttl)


@broken("LC-7")
class RefusedUpdatesRenew(InMemoryBackend):
    """Sets the expiry first, in a separate command."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)

        def touch(rows: Rows) -> None:
            if row := self.live(rows, name):
                rows[name] = row._replace(expires_at=self._clock() + self._default_ttl)

        await self.call(touch)
        await super().update_session(identity, session_id, changes, ttl)


@broken("LC-1", "LC-7")
class RefusedCreatesRenew(InMemoryBackend):
    """Creates by ``INSERT … ON CONFLICT DO UPDATE SET expires_at``, and raises if nothing was inserted."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        name, expires_at = (session.identity, session.session_id), self._expiry(ttl)

        def touch(rows: Rows) -> None:
            if row := self.live(rows, name):
                rows[name] = row._replace(expires_at=expires_at)

        await self.call(touch)
        await super().create_session(session, ttl)


@broken("LC-3")
class OneRowOfSecrets(InMemoryBackend):
    """Keeps tokens and headers in one row of a second table, which goes when the tokens are cleared."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        cleared = "tokens" in named and named["tokens"] is None and "headers" not in named
        return super().merged(record, {**named, "headers": None} if cleared else named)
