"""Stores that fail when plain and encrypted sessions meet, or when keys change."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.sealing import Ring, broken_codec, broken_ring
from reference_backends import DecryptionError, SessionData
from reference_backends.core.record import CREDENTIALS, Record, RecordCodec

logger = logging.getLogger("pytest_mcp_storage.zoo")


@broken_codec("MX-1")
class ReadsSealedAlone(RecordCodec):
    """Decrypts everything once a key is set, and fails on what was stored before."""

    def session(self, record: Mapping[str, Any]) -> SessionData:
        if self.seals and any(isinstance(record.get(field), dict) for field in CREDENTIALS):
            raise DecryptionError("it is not encrypted", session_id=record.get("session_id"))
        return super().session(record)


@broken("MX-1")
class ListsSealedAlone(InMemoryBackend):
    """Lists what is encrypted with its key, by a query that filters for the label."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        rows = await self.call(lambda rows: self.of(rows, identity))
        clear = {name for name, row in rows.items() if any(isinstance(row.record.get(f), dict) for f in CREDENTIALS)}
        found = await super().get_identity_sessions_data(identity)
        return [each for each in found if not self._codec.seals or each.session_id not in clear]


@broken_codec("MX-2")
class SealsAtCreateAlone(RecordCodec):
    """Encrypts in create, and not in update."""

    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        merged = {**record, **changes}
        return {field: value for field, value in merged.items() if value is not None}


@broken_codec("MX-2")
class ForgetsHeadersOnUpdate(RecordCodec):
    """Has a second list of secret columns in update, and one is missing."""

    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        clear = {"headers": changes["headers"]} if changes.get("headers") is not None else {}
        return {**super().updated(record, changes), **clear}


@broken_codec("MX-3")
class MarksTheRow(RecordCodec):
    """Keeps one flag a row for "encrypted": the last writer's, although the row holds both kinds."""

    def record(self, session: SessionData) -> Record:
        return {**super().record(session), "flag": self.seals}

    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        return {**super().updated(record, changes), "flag": self.seals}

    def session(self, record: Mapping[str, Any]) -> SessionData:
        if not record.get("flag", True) and any(isinstance(record.get(field), str) for field in CREDENTIALS):
            record = {field: value for field, value in record.items() if field not in CREDENTIALS}
        return super().session(record)


@broken("MX-4")
class NeverWarns(InMemoryBackend):
    """Logs at INFO that it has no key."""

    def _opened(self) -> None:
        self._warned = True
        super()._opened()
        if not self._codec.seals:
            logger.info("no encryption key is set")


@broken("MX-4")
class WarnsAtEachInit(InMemoryBackend):
    """Warns in ``init``, which a framework calls for each request."""

    def _opened(self) -> None:
        self._warned = False
        super()._opened()


class _Once(InMemoryBackend):
    warned: ClassVar[bool] = False

    def _opened(self) -> None:
        self._warned = _Once.warned
        super()._opened()
        _Once.warned |= self._warned


@broken("MX-4")
class WarnsOnceAProcess(_Once):
    """Warns once for all handles of the process, by a flag of the module."""


@broken_codec("MX-5")
class SealsWhatIsNamed(RecordCodec):
    """Seals the fields that an update names, and leaves the others in clear."""

    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        merged = {**record, **self.seal_clear(dict(changes))}
        return {field: value for field, value in merged.items() if value is not None}


@broken_ring("MX-6")
class OpensWithTheFirstKey(Ring):
    """Takes a list of keys, and tries the first."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        return super().parsed(keys)[:1]


@broken_ring("MX-6")
class SealsWithTheLastKey(Ring):
    """Takes the list in the order in which keys were added."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        return super().parsed(keys)[::-1]


@broken("MX-1")
class ListsIdsOfSealedAlone(InMemoryBackend):
    """Lists the ids of the sessions that are encrypted with its key."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        rows = await self.call(lambda rows: self.of(rows, identity))
        return [session_id for session_id, row in rows.items() if not (self._codec.seals and _is_in_clear(row.record))]


@broken("MX-2", "MX-3", "MX-5")
class UpdatesSealedAlone(InMemoryBackend):
    """Decrypts before it updates, and fails on what was never encrypted."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        if self._codec.seals and _is_in_clear(record):
            raise DecryptionError("it is not encrypted", session_id=record.get("session_id"))
        return super().merged(record, named)


@broken_ring("MX-6")
class KeepsTwoKeys(Ring):
    """Keeps the new key and the old one, and no older."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        return super().parsed(keys)[:2]


def _is_in_clear(record: Record) -> bool:
    return any(isinstance(record.get(field), dict) for field in ("tokens", "headers"))


@broken("MX-4")
class WarnsOfItsOtherKey(InMemoryBackend):
    """Warns of the key that its database asks for, and not of the missing encryption key."""

    def _opened(self) -> None:
        if not self._warned:
            logger.warning("the store is used with the anonymous key")
        self._warned = True
        super()._opened()
