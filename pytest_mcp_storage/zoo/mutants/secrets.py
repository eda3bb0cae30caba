"""Stores that leak secrets: into what they keep in addition to the rows, and into messages."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Mapping
from typing import Any, TypeVar, Unpack

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore, Row
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.sealing import Ring, SealingBackend, broken_ring
from reference_backends import (
    ConfigurationError,
    DecryptionError,
    InvalidSessionError,
    SessionData,
    SessionUpdate,
    StorageError,
    StorageUnavailableError,
)
from reference_backends.core.base import BackendOptions
from reference_backends.core.record import Record, RecordCodec

logger = logging.getLogger("pytest_mcp_storage.zoo")

Result = TypeVar("Result")

# -- EN-1: what stays in the store ------------------------------------------------------------------------------------


class _KeepsMore(InMemoryBackend):
    """Base: ``remnant`` of each write is kept in addition to the row."""

    def remnant(self, fields: Mapping[str, Any]) -> str:
        return json.dumps(dict(fields))

    def kept(self, session: SessionData) -> Record:
        return {**super().kept(session), "more": self.remnant(session.__dict__)}

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return {**super().merged(record, named), "more": self.remnant(named)}


@broken("EN-1")
class KeepsAnAuditLog(_KeepsMore):
    """Notes each write for its auditors, as it came in."""


@broken("EN-1")
class PacksItsHistory(_KeepsMore):
    """Keeps the last change for an undo, compressed and in base64, which passes for encryption in a review."""

    def remnant(self, fields: Mapping[str, Any]) -> str:
        return base64.b64encode(zlib.compress(json.dumps(dict(fields)).encode())).decode()


@broken("EN-1")
class DumpsRawDeflate(_KeepsMore):
    """Keeps the last request for its debugger, as a raw deflate stream in hexadecimal."""

    def remnant(self, fields: Mapping[str, Any]) -> str:
        packer = zlib.compressobj(wbits=-15)
        return (packer.compress(json.dumps(dict(fields)).encode()) + packer.flush()).hex()


@broken("EN-1")
class IndexesReversedTokens(_KeepsMore):
    """Keeps tokens backwards, for a search by their ends."""

    def remnant(self, fields: Mapping[str, Any]) -> str:
        return str((fields.get("tokens") or {}).get("access_token", ""))[::-1]


@broken("EN-1")
class KeepsWhatItRefused(InMemoryBackend):
    """Puts requests that failed into a second table, for later analysis."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        try:
            await super().create_session(session, ttl)
        except StorageError:
            failed = Row({"identity": "", "session_id": "", "request": session.model_dump_json()}, 0)
            await self.call(lambda rows: rows.update({("", ""): failed}))
            raise


# -- EN-10: what is said ----------------------------------------------------------------------------------------------


@broken("EN-10")
class SaysWhatItRefused(InMemoryBackend):
    """Puts the changes that it refused into the error, so that their author finds the mistake."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except InvalidSessionError:
            raise InvalidSessionError(f"cannot update with {changes!r}") from None


@broken("EN-10")
class LogsEachCall(InMemoryBackend):
    """Logs its arguments at DEBUG, which nobody reads until production fails."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        logger.debug("create %s", session.model_dump())
        await super().create_session(session, ttl)


class _QuotingCodec(RecordCodec):
    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        try:
            return super()._open(session_id, field, stored, kind)
        except DecryptionError:
            raise DecryptionError(f"{field} cannot be decrypted: {stored}", session_id=session_id) from None


@broken("EN-10")
class QuotesWhatItCannotDecrypt(SealingBackend):
    """Quotes the stored text that it could not decrypt; it may be a token in clear."""

    codec = _QuotingCodec


class _QuotingRing(Ring):
    def read(self, plain: bytes) -> Any:
        try:
            return json.loads(plain)
        except ValueError as error:
            raise DecryptionError("it holds no JSON") from ValueError(f"{error} in {plain!r}")


class _ChainingCodec(RecordCodec):
    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        try:
            return self._keyring.open(stored) if self._keyring else super()._open(session_id, field, stored, kind)
        except DecryptionError as error:
            raise DecryptionError(f"{field} cannot be decrypted", session_id=session_id) from error


@broken("EN-10")
class ChainsTheParserError(SealingBackend):
    """Raises from the error of its JSON parser, which quotes what it was given."""

    ring = _QuotingRing
    codec = _ChainingCodec


@broken("EN-10")
class ShowsItsOptions(InMemoryBackend):
    """Has the ``repr`` of a dataclass, which shows every option and the key."""

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.options = options

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.options})"


@broken_ring("EN-10")
class SaysWhichKeyIsBad(Ring):
    """Shows the key that it refuses, which may be a good one with a line feed behind it."""

    def parsed(self, keys: Any) -> list[bytes]:
        try:
            return super().parsed(keys)
        except ConfigurationError:
            raise ConfigurationError(f"bad key: {keys!r}") from None


@broken("EN-10")
class ReportsTheLostRequest(InMemoryBackend):
    """Puts the request that got no answer into the error, to be sent again by hand."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        try:
            await super().create_session(session, ttl)
        except StorageUnavailableError:
            raise StorageUnavailableError(f"not stored: {session.model_dump_json()}") from None
