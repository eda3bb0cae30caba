"""Stores that show a secret at the end of a session, of a damaged row, or if they can't be opened (EN-10)."""

from __future__ import annotations

import logging
from typing import Any, Unpack

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.sealing import SealingBackend
from reference_backends import (
    ConfigurationError,
    DecryptionError,
    SessionData,
    SessionUpdate,
    StorageError,
    StorageUnavailableError,
)
from reference_backends.core.base import BackendOptions
from reference_backends.core.record import CREDENTIALS, RecordCodec

logger = logging.getLogger("pytest_mcp_storage.zoo")


@broken("EN-10")
class LogsWhatItCleansUp(InMemoryBackend):
    """Logs what it removes as expired, so that a missing session can be explained."""

    async def cleanup_expired_sessions(self) -> None:
        rows = await self.call(lambda rows: [row for name, row in rows.items() if not self.live(rows, name)])
        for row in rows:
            logger.info("expired: %s", self.shown(row.record).model_dump())
        await super().cleanup_expired_sessions()


@broken("EN-10")
class LogsWhatExpired(InMemoryBackend):
    """Logs the session that it found and did not serve."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        row = await self.call(lambda rows: rows.get((identity, session_id)))
        if row is not None and row.expires_at <= self._clock():
            logger.debug("expired: %s", self.shown(row.record).model_dump())
        return await super().get_session(identity, session_id)


@broken("EN-10")
class LogsWhatItClears(InMemoryBackend):
    """Logs everything that it clears, in case that was a mistake."""

    async def clear_all(self) -> None:
        for row in await self.call(lambda rows: list(rows.values())):
            logger.info("cleared: %s", self.shown(row.record).model_dump())
        await super().clear_all()


@broken("EN-10")
class LogsAllButCredentials(InMemoryBackend):
    """Leaves tokens and headers out of its log, and thinks of no client_secret."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        logger.debug("update: %s", {field: value for field, value in changes.items() if field not in CREDENTIALS})
        await super().update_session(identity, session_id, changes, ttl)


@broken("EN-10")
class AddsANote(InMemoryBackend):
    """Adds the changes to the error as a note, which every traceback prints."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except StorageError as error:
            error.add_note(f"the changes were {changes}")
            raise


@broken("EN-10")
class SaysHowItConnects(InMemoryBackend):
    """Names its connection options and the key in an error."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.options = options

    async def init(self) -> None:
        try:
            await super().init()
        except StorageUnavailableError:
            raise StorageUnavailableError(f"can't connect with {self.options}") from None


class _QuotesRows(RecordCodec):
    def session(self, record: Any) -> SessionData:
        for field in CREDENTIALS:
            if isinstance(record.get(field), list):
                raise StorageError(f"{field} should be a dictionary (input_value={record[field]!r})")
        return super().session(record)


@broken("EN-10")
class QuotesADamagedRow(SealingBackend):
    """Lets its validation library say what is wrong with a row, and so what is in it."""

    codec = _QuotesRows


class _QuotesHeaders(RecordCodec):
    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        try:
            return super()._open(session_id, field, stored, kind)
        except DecryptionError:
            lines = stored if field == "headers" else "they"
            raise DecryptionError(f"{lines} can't be read", session_id=session_id) from None


@broken("EN-10")
class QuotesHeaders(SealingBackend):
    """Quotes headers that it could not read, for they are no tokens."""

    codec = _QuotesHeaders


@broken("EN-10")
class NamesTheGoodKey(InMemoryBackend):
    """Says which of several keys was good, so that the bad one is easily found."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        try:
            super().__init__(store, **options)
        except ConfigurationError:
            raise ConfigurationError(f"bad key after {list(options['encryption_key'] or ())[:1]}") from None
