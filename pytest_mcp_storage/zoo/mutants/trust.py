"""Stores that accept a wrong text, key or length, or remove what they can't read."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.sealing import Ring, SealingBackend, broken_codec, broken_ring
from reference_backends import DecryptionError, SessionData
from reference_backends.core.record import Record, RecordCodec
from reference_backends.core.validation import check_identity

# -- EN-3 -------------------------------------------------------------------------------------------------------------


class _PlaceRing(Ring):
    place = ""

    def iv(self, plain: bytes) -> bytes:
        return hmac.new(self.keys[0], self.place.encode() + plain, hashlib.sha256).digest()[:12]

    def seal(self, value: Any) -> str:
        self.place += "."
        return super().seal(value)


class _PlaceCodec(RecordCodec):
    def seal_clear(self, record: Record) -> Record:
        if isinstance(self._keyring, _PlaceRing):
            self._keyring.place = f"{record.get('identity')} {record.get('session_id')}"
        return super().seal_clear(record)


@broken("EN-3")
class IvOfPlaceAndContent(SealingBackend):
    """Derives the IV from session, field and content, which needs no randomness: an old value has its old IV again."""

    ring = _PlaceRing
    codec = _PlaceCodec


class _VersionRing(_PlaceRing):
    def iv(self, plain: bytes) -> bytes:
        return super().iv(b"")


class _VersionCodec(RecordCodec):
    def seal_clear(self, record: Record) -> Record:
        version = record.get("version", 0) + 1
        if isinstance(self._keyring, _VersionRing):
            self._keyring.place = f"{record.get('identity')} {record.get('session_id')} {version}"
        return {**super().seal_clear(record), "version": version}


@broken("EN-3")
class IvOfPlaceAndVersion(SealingBackend):
    """Derives the IV from session, field and version, which never repeat, until a session is removed and made anew."""

    ring = _VersionRing
    codec = _VersionCodec


# -- EN-4 -------------------------------------------------------------------------------------------------------------


@broken_ring("EN-4")
class ReadsPartsAsNumbers(Ring):
    """Reads IV and tag as numbers, so that "0x", an underscore and zeros in front make no difference."""

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        try:
            label, version, iv, tag, ciphertext = text.split(":")
            parts = int(iv, 16).to_bytes(12, "big"), int(tag, 16).to_bytes(16, "big"), bytes.fromhex(ciphertext)
        except (ValueError, OverflowError, AttributeError):
            raise DecryptionError("it is no envelope") from None
        long_enough = len(iv) >= 24 and len(tag) >= 32
        if (label, version) != ("enc", "1") or text != "".join(text.lower().split()) or not long_enough:
            raise DecryptionError("it is no envelope")
        return parts


@broken_ring("EN-4")
class CutsTheTag(Ring):
    """Takes as much of the tag as it needs, and ignores the rest."""

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        parts = str(text).split(":")
        return super().parts(":".join([*parts[:3], *(part[:32] for part in parts[3:4]), *parts[4:]]))


def _object_in(text: object) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@broken_codec("EN-4")
class ReadsHeadersAsJson(RecordCodec):
    """Takes text in the place of headers for their JSON, as an older version wrote them."""

    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        found = _object_in(stored) if field == "headers" else None
        return super()._open(session_id, field, stored, kind) if found is None else found


@broken_codec("EN-4")
class ReadsTextWithoutAKey(RecordCodec):
    """Takes all text for JSON if no key is set, since nothing can be encrypted then."""

    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        found = _object_in(stored) if self._keyring is None else None
        return super()._open(session_id, field, stored, kind) if found is None else found


@broken_codec("EN-4")
class SkipsNewerHeaders(RecordCodec):
    """Reads an envelope of an unknown version as missing headers."""

    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        newer = field == "headers" and str(stored).startswith("enc:2:")
        return {} if newer else super()._open(session_id, field, stored, kind)


# -- EN-6, EN-7 -------------------------------------------------------------------------------------------------------


@broken("EN-6")
class LosesPatience(InMemoryBackend):
    """Removes a session after the third read that fails."""

    failures: ClassVar[Counter[SessionKey]] = Counter()

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        try:
            return await super().get_session(identity, session_id)
        except DecryptionError:
            self.failures[identity, session_id] += 1
            if self.failures[identity, session_id] >= 3:
                await self.remove_session(identity, session_id)
            raise


@broken("EN-6")
class TidiesWhileItCounts(InMemoryBackend):
    """Drops what it can't decrypt when all ids are asked for, as a clean-up on the way."""

    async def get_all_session_ids(self) -> list[str]:
        def tidy(rows: Rows) -> None:
            for name, row in list(rows.items()):
                try:
                    self.shown(row.record)
                except DecryptionError:
                    del rows[name]

        await self.call(tidy)
        return await super().get_all_session_ids()


@broken("EX-2")
class DecryptsBeforeItLooks(InMemoryBackend):
    """Decrypts, then asks whether it has expired: one expired row under a dropped key makes the listing fail."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        rows = await self.call(lambda rows: [row for name, row in rows.items() if name[0] == check_identity(identity)])
        found = [(self.shown(row.record), row.expires_at) for row in rows]
        return [session for session, end in found if self._clock() < end]


@broken("EX-5")
class CleanupDecrypts(InMemoryBackend):
    """Reads every row as a session to learn which have expired, and stops at the first that it can't read."""

    async def cleanup_expired_sessions(self) -> None:
        for row in await self.call(lambda rows: list(rows.values())):
            self.shown(row.record)
        await super().cleanup_expired_sessions()


@broken("EN-7")
class NamesNoSessionWithoutAKey(InMemoryBackend):
    """Says that it has no key before it looks at any session."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        try:
            return await super().get_identity_sessions_data(identity)
        except DecryptionError as error:
            raise error if self._codec.seals else DecryptionError("no encryption key is set") from None


# -- EN-8 -------------------------------------------------------------------------------------------------------------


class _Lenient(Ring):
    """Base: texts that are not keys are ``repaired``."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        return super().parsed([self.repaired(key) for key in ([keys] if isinstance(keys, str) else keys)])

    def repaired(self, key: str) -> str:
        return key


@broken_ring("EN-8")
class TakesShorterKeys(_Lenient):
    """Takes every key of AES, and 32 or 48 digits are such a key too."""

    def repaired(self, key: str) -> str:
        return key * 2 if len(key) == 32 and set(key) <= set("0123456789abcdef") else key


@broken_ring("EN-8")
class TakesCharactersForBytes(_Lenient):
    """Takes 32 characters for 32 bytes, which a passphrase has few of."""

    def repaired(self, key: str) -> str:
        return key.encode().hex() if len(key.encode()) == 32 else key


@broken_ring("EN-8")
class StripsQuotes(_Lenient):
    """Strips the quotes that an environment file may have left."""

    def repaired(self, key: str) -> str:
        return key.strip("\"'")


@broken_ring("EN-8")
class StripsBlanks(_Lenient):
    """Strips blanks around a key, and of another program that does not the sessions can't be read."""

    def repaired(self, key: str) -> str:
        return key.strip(" ")


@broken_ring("EN-8")
class HashesLongKeys(_Lenient):
    """Hashes a key that is too long into one that is not."""

    def repaired(self, key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest() if len(key) == 128 else key
