"""Stores that write wrong envelopes, or accept what is not an envelope."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
from collections.abc import Sequence
from typing import Any, ClassVar

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from pytest_mcp_storage.zoo.json_store import JsonStoreHarness
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.sealing import Ring, SealingBackend, broken_codec, broken_ring, loosely
from reference_backends import DecryptionError
from reference_backends.core.record import Record, RecordCodec

# -- EN-2: the form ---------------------------------------------------------------------------------------------------


@broken_ring("EN-2")
class SealsInCapitals(Ring):
    """Prints hexadecimal digits as its language does: in capitals."""

    def spelled(self, iv: str, tag: str, ciphertext: str) -> str:
        return f"enc:1:{iv}:{tag}:{ciphertext.upper()}"

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        return loosely(text)


@broken_ring("EN-2")
class BindsToItsTable(Ring):
    """Authenticates the table's name with each value: good cryptography, which no other reader knows of."""

    def associated(self) -> bytes:
        return b"mcp_sessions"


@broken_ring("EN-2")
class SealsQuotedJson(Ring):
    """Encodes JSON that the layer above has encoded already."""

    def written(self, value: Any) -> bytes:
        return json.dumps(json.dumps(value)).encode()

    def read(self, plain: bytes) -> Any:
        return json.loads(json.loads(plain))


@broken_codec("EN-1", "EN-2", "MX-2")
class SealsTokensAlone(RecordCodec):
    """Encrypts tokens, and does not think of the API keys in headers."""

    def seal_clear(self, record: Record) -> Record:
        return {**super().seal_clear(record), **{field: record[field] for field in ("headers",) if field in record}}


# -- EN-3: the IV -----------------------------------------------------------------------------------------------------


@broken_ring("EN-3")
class FixedIv(Ring):
    """Copied the IV of an example with the code."""

    def iv(self, plain: bytes) -> bytes:
        return b"twelve bytes"


@broken_ring("EN-3")
class IvOfTheContent(Ring):
    """Hashes the plaintext for an IV, so that equal values can be found by their ciphertext."""

    def iv(self, plain: bytes) -> bytes:
        return hashlib.sha256(plain).digest()[:12]


@broken_ring("EN-3")
class CountsAnew(Ring):
    """Uses a counter as IV, from 0 in every handle."""

    def __init__(self, keys: str | Sequence[str]) -> None:
        super().__init__(keys)
        self.count = itertools.count()

    def iv(self, plain: bytes) -> bytes:
        return next(self.count).to_bytes(12, "big")


@broken_ring("EN-3")
class CountsInOneByte(Ring):
    """Draws a prefix for each handle and counts in one byte, which wraps after 256 writes."""

    def __init__(self, keys: str | Sequence[str]) -> None:
        super().__init__(keys)
        self.prefix, self.count = os.urandom(11), itertools.count()

    def iv(self, plain: bytes) -> bytes:
        return self.prefix + (next(self.count) % 256).to_bytes()


@broken_ring("EN-3")
class DrawsThreeBytes(Ring):
    """Draws a prefix for each handle and three bytes for each write: IVs repeat after some thousand writes."""

    def __init__(self, keys: str | Sequence[str]) -> None:
        super().__init__(keys)
        self.prefix = os.urandom(9)

    def iv(self, plain: bytes) -> bytes:
        return self.prefix + os.urandom(3)


class _RowRing(Ring):
    row_iv = bytes(12)

    def iv(self, plain: bytes) -> bytes:
        return self.row_iv


class _RowCodec(RecordCodec):
    def seal_clear(self, record: Record) -> Record:
        if isinstance(self._keyring, _RowRing):
            self._keyring.row_iv = os.urandom(12)
        return super().seal_clear(record)


@broken("EN-3")
class OneIvARow(SealingBackend):
    """Draws an IV for the row and seals each of its columns with it."""

    ring = _RowRing
    codec = _RowCodec


class _SeededRing(Ring):
    rng: ClassVar[random.Random] = random.Random("mcp")

    def iv(self, plain: bytes) -> bytes:
        return self.rng.randbytes(12)


class _SeededBackend(SealingBackend):
    ring = _SeededRing


class SeedsItsIvs(JsonStoreHarness):
    """Draws IVs from a generator that is seeded at import, for tests that repeat: every process has the same ones."""

    breaks = "EN-3"
    backend = _SeededBackend


# -- EN-4: what passes for an envelope --------------------------------------------------------------------------------


@broken_ring("EN-4")
class TakesShortTags(Ring):
    """Does not check the tag's length, and its library accepts 4 bytes (as Node's does)."""

    tag_bytes = (4, 8, 12, 13, 14, 15, 16)

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        return loosely(text) if str(text).startswith("enc:1:") and str(text).islower() else super().parts(text)


@broken_ring("EN-4")
class TakesAnyIv(Ring):
    """Checks the tag's length and not the IV's, of which GCM takes any."""

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        prefix, version, *parts = str(text).split(":")
        if (prefix, version, len(parts)) != ("enc", "1", 3) or "".join(parts).strip("0123456789abcdef"):
            raise DecryptionError("it is no envelope")
        return loosely(text)


@broken_ring("EN-4")
class TakesCapitals(Ring):
    """Folds case before it parses, since hexadecimal digits have none."""

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        return super().parts(str(text).lower())


@broken_ring("EN-4")
class TakesWhiteSpace(Ring):
    """Strips what a text editor may have added."""

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        return super().parts(str(text).strip())


@broken_ring("EN-4")
class TakesAnyVersion(Ring):
    """Splits at the colons and never looks at the label."""

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        return super().parts("enc:1:" + str(text).split(":", 2)[-1])


@broken_ring("EN-4")
class NeverFinishes(Ring):
    """Decrypts as a stream and forgets the last call, which is the one that authenticates."""

    def opened(self, key: bytes, iv: bytes, tag: bytes, ciphertext: bytes) -> bytes | None:
        return Cipher(AES(key), GCM(iv, tag)).decryptor().update(ciphertext)

    def read(self, plain: bytes) -> Any:
        try:
            return super().read(plain)
        except ValueError:
            raise DecryptionError("what it holds is not JSON") from None


@broken_codec("EN-4")
class ReadsTextAsJson(RecordCodec):
    """Takes stored text without the label of an envelope for the JSON of an older version."""

    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        try:
            found = json.loads(stored)
        except (ValueError, TypeError):
            return super()._open(session_id, field, stored, kind)
        return found if isinstance(found, kind) else super()._open(session_id, field, stored, kind)
