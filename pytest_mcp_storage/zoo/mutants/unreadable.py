"""Stores that need a key for what needs none, lose one, or expose an older one."""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from typing import Any

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.mutants.remnants import _Notes
from pytest_mcp_storage.zoo.sealing import Ring, SealingBackend, broken_ring
from reference_backends import SessionData, SessionUpdate, StorageUnavailableError
from reference_backends.core.record import RecordCodec
from reference_backends.core.validation import check_names, check_session

logger = logging.getLogger("pytest_mcp_storage.zoo")


@broken("LC-8")
class ReadsBeforeItRemoves(InMemoryBackend):
    """Loads what it removes, as an ORM does: what it can't decrypt it can't remove."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        await self.get_session(identity, session_id)
        await super().remove_session(identity, session_id)


@broken("LC-10")
class ReadsBeforeItClears(InMemoryBackend):
    """The same for all of it."""

    async def clear_all(self) -> None:
        for row in await self.call(lambda rows: list(rows.values())):
            self.shown(row.record)
        await super().clear_all()


@broken("LC-1", "EX-4")
class ReadsBeforeItCreates(InMemoryBackend):
    """Loads the row under the name of a new session, to see if it has expired."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        check_session(session)
        self._expiry(ttl)
        row = await self.call(lambda rows: rows.get((session.identity, session.session_id)))
        if row is not None:
            self.shown(row.record)
        await super().create_session(session, ttl)


@broken("LC-11")
class LosesItsKey(InMemoryBackend):
    """Wipes its key at disconnect, for safety: opened again it stores in clear, and reads nothing that is sealed."""

    async def disconnect(self) -> None:
        await super().disconnect()
        self._codec = RecordCodec(None)


@broken("EN-1")
class SpoolsInAnOutage(_Notes):
    """Puts a create that failed into an outbox next to the store, as it came in."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        try:
            await super().create_session(session, ttl)
        except StorageUnavailableError:
            self.store.cut = False  # the outbox is on this machine
            await self.note(f"outbox {session.session_id}", session.model_dump())
            self.store.cut = True
            raise


class _FindsVerifiers(RecordCodec):
    def seal_clear(self, record: dict[str, Any]) -> dict[str, Any]:
        sealed = super().seal_clear(record)
        verifier = record.get("code_verifier")
        if isinstance(self._keyring, Ring) and isinstance(verifier, str) and not verifier.startswith("enc:"):
            finding = _OfItsContent([key.hex() for key in self._keyring.keys])
            return {**sealed, "code_verifier": finding.seal(verifier)}
        return sealed


class _OfItsContent(Ring):
    def iv(self, plain: bytes) -> bytes:
        return sha256(plain).digest()[:12]


@broken("EN-3")
class FindsVerifiersByTheirIv(SealingBackend):
    """Seals a verifier with an IV made of it, so that it can be looked up when the user comes back."""

    ring, codec = Ring, _FindsVerifiers


@broken_ring("EN-5")
class QuietWithSeveralKeys(Ring):
    """Tries one key after the other, and returns nothing after the loop if none fits."""

    def open(self, text: str) -> Any:
        if len(self.keys) == 1:
            return super().open(text)
        plain = [self.opened(key, *self.parts(text)) for key in self.keys]
        return json.loads(next((each for each in plain if each is not None), b"{}"))


@broken("EN-10")
class LogsWhatCameLate(InMemoryBackend):
    """Logs an update that it drops because the session has just expired."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = check_names(identity, session_id)
        row = await self.call(lambda rows: rows.get(name))
        if row is not None and row.expires_at <= self._clock():
            logger.warning("the session has expired; dropped %s", changes)
        await super().update_session(identity, session_id, changes, ttl)


@broken_ring("EN-10")
class LogsTheOlderKey(Ring):
    """Says with which older key it read a session, so that somebody seals that anew."""

    def open(self, text: str) -> Any:
        for key in self.keys[1:]:
            if self.opened(key, *self.parts(text)) is not None:
                logger.info("read with the older key %s", key.hex())
        return super().open(text)
