"""Stores whose updates with a ttl, or of no field, rewrite the session in clear (EN-1, EN-9)."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionNotFoundError, SessionUpdate
from reference_backends.core.record import Record, RecordCodec
from reference_backends.core.validation import check_changes

PLAIN = RecordCodec(None)


class _Rewriting(InMemoryBackend):
    """Base: loads the session and writes it back in clear, if the call ``rewrites``."""

    def rewrites(self, named: dict[str, Any], ttl: float | None) -> bool:
        return False

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        named: Any = check_changes(changes)
        if not self.rewrites(named, ttl):
            return await super().update_session(identity, session_id, changes, ttl)
        name, end = (identity, session_id), self._expiry(ttl)

        def rewrite(rows: Rows) -> None:
            row = self.live(rows, name)
            if row is None:
                raise SessionNotFoundError("there is no such session")
            rows[name] = Row(self.loaded(row.record, named), end)

        await self.call(rewrite)
        return None

    def loaded(self, record: Record, named: dict[str, Any]) -> Record:
        return PLAIN.record(self.shown(record).model_copy(update=named))


@broken("EN-9", "EN-1")
class TouchRewritesInClear(_Rewriting):
    """Loads the session to set a new end and writes it back as it was loaded: in clear (connect-mongo)."""

    def rewrites(self, named: dict[str, Any], ttl: float | None) -> bool:
        return ttl is not None and not {"tokens", "headers"} & named.keys()


@broken("EN-9", "EN-1")
class RenewalRewritesInClear(_Rewriting):
    """The same for an update of no field and without a ttl."""

    def rewrites(self, named: dict[str, Any], ttl: float | None) -> bool:
        return not named and ttl is None


@broken("EN-9")
class RevokingRewritesInClear(_Rewriting):
    """The same for an update that sets a field to None, which has a statement of its kind."""

    def rewrites(self, named: dict[str, Any], ttl: float | None) -> bool:
        return None in named.values()
