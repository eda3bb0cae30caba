"""Stores that share objects with their callers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionUpdate
from reference_backends.core.record import Record


@broken("RT-6")
class HandsOutItsOwnObjects(InMemoryBackend):
    """Keeps the session object itself and hands it out: no copies, so fast."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.objects: dict[tuple[str, str], SessionData] = {}

    def shown(self, record: Record) -> SessionData:
        name = record["identity"], record["session_id"]
        fresh = super().shown(record)
        kept = self.objects.setdefault(name, fresh)
        unchanged = kept.created_at == fresh.created_at and kept.client_information is not None
        return kept if unchanged else fresh


@broken("RT-6")
class KeepsTheCallersObjects(InMemoryBackend):
    """Stores what it was given, by reference."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)

        def alias(rows: Rows) -> None:
            name = self.key(session.identity, session.session_id)
            row = rows[name]
            rows[name] = Row(
                {**row.record, **{k: v for k, v in session.__dict__.items() if v is not None}}, row.expires_at
            )

        await self.call(alias)


@broken("RT-6")
class CopiesListsShallowly(InMemoryBackend):
    """Copies objects deeply and lists with ``list(value)``, so that the items of a list are shared."""

    def shown(self, record: Record) -> SessionData:
        def copied(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: copied(item) for key, item in value.items()}
            return list(value) if isinstance(value, list) else value

        session = super().shown(record)
        information = record.get("client_information") or {}
        if not information or "client_secret" in information:
            return session
        return session.model_copy(update={"client_information": copied(information)})


class _Listing(InMemoryBackend):
    """Base: what a listing returned is kept until something is written."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.kept_lists: dict[Any, Any] = {}

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        self.kept_lists.clear()
        return super().merged(record, named)

    def kept(self, session: SessionData) -> Record:
        self.kept_lists.clear()
        return super().kept(session)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.kept_lists.clear()


@broken("RT-6")
class HandsOutItsListing(_Listing):
    """Copies what get returns, and returns the sessions of a listing from its cache."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found = await super().get_identity_sessions_data(identity)
        return list(self.kept_lists.setdefault(identity, found))


@broken("RT-6")
class HandsOutItsIndex(_Listing):
    """Returns the list of ids that it keeps itself; a caller that sorts or empties it changes the listing."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        found = await super().get_identity_mcp_sessions(identity)
        kept: list[str] = self.kept_lists.setdefault(identity, found)
        return kept


@broken("RT-6")
class KeepsTheUpdatesObjects(InMemoryBackend):
    """Copies what is created, and keeps what an update brings, by reference."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        name = self.key(identity, session_id)
        information = changes.get("client_information")
        if information and "client_secret" not in information:

            def alias(rows: Rows) -> None:
                rows[name] = rows[name]._replace(record={**rows[name].record, "client_information": information})

            await self.call(alias)


@broken("RT-6")
class HandsOutItsListOfAll(_Listing):
    """Copies an identity's ids, which many ask for, and returns the list of all as it keeps it."""

    async def get_all_session_ids(self) -> list[str]:
        found = await super().get_all_session_ids()
        kept: list[str] = self.kept_lists.setdefault(None, found)
        return kept


class _Rewrites(InMemoryBackend):
    """Base: tokens that come in are ``rewritten`` in place, in the caller's object."""

    def rewritten(self, tokens: dict[str, Any]) -> None:
        """Change the tokens in place."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        self.rewritten(session.tokens or {})
        await super().create_session(session, ttl)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        self.rewritten(changes.get("tokens") or {})
        await super().update_session(identity, session_id, changes, ttl)


@broken("RT-1", "LC-3")
class AddsExpiresAt(_Rewrites):
    """Turns ``expires_in`` into a moment while it is known when that began, as OAuth libraries do, in the same dict."""

    def rewritten(self, tokens: dict[str, Any]) -> None:
        if "expires_in" in tokens:
            tokens["expires_at"] = self._clock() + tokens["expires_in"]


@broken("RT-1", "LC-3")
class DropsTheIdToken(_Rewrites):
    """Takes out the largest of the tokens, which nobody reads later, by a ``pop`` on the caller's object."""

    def rewritten(self, tokens: dict[str, Any]) -> None:
        tokens.pop("id_token", None)


@broken("LC-3")
class PopsWhatItHandles(InMemoryBackend):
    """Pops client information out of an update, for a second table, and writes there at create alone."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if changes.get("client_information"):
            changes.pop("client_information")
        await super().update_session(identity, session_id, changes, ttl)
