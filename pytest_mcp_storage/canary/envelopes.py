"""The suite's own reader of ``enc:1:`` envelopes, with another interface of the library than the bundled stores use."""

from __future__ import annotations

import json
import os
import re
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from pytest_mcp_storage.spec.comparison import first_difference
from pytest_mcp_storage.spec.describe import short_repr

IV_BYTES = 12
TAG_BYTES = 16
FORM = "enc:1:<24 hex IV>:<32 hex tag>:<hex ciphertext>, in lower case"

_ENVELOPE = re.compile(r"enc:1:([0-9a-f]{24}):([0-9a-f]{32}):((?:[0-9a-f]{2})*)")


class Envelope(NamedTuple):
    """The parts of an envelope, as hexadecimal text."""

    iv: str
    tag: str
    ciphertext: str

    def __str__(self) -> str:
        return f"enc:1:{self.iv}:{self.tag}:{self.ciphertext}"


def parse(stored: object) -> Envelope | None:
    """Return the parts of a stored value, text or its bytes; ``None`` if it is not exactly an envelope (EN-2)."""
    if isinstance(stored, bytes):
        stored = stored.decode("latin-1")
    found = _ENVELOPE.fullmatch(stored) if isinstance(stored, str) else None
    return None if found is None else Envelope(*found.groups())


def seal(plain: bytes, key: str, *, iv_bytes: int = IV_BYTES, associated: bytes = b"") -> Envelope:
    """Return an envelope over ``plain``.

    ``iv_bytes`` and ``associated`` data make envelopes that no store may accept.
    """
    iv = os.urandom(iv_bytes)
    encryptor = Cipher(AES(bytes.fromhex(key)), GCM(iv)).encryptor()
    encryptor.authenticate_additional_data(associated)
    ciphertext = encryptor.update(plain) + encryptor.finalize()
    return Envelope(iv.hex(), encryptor.tag.hex(), ciphertext.hex())


def opened(envelope: Envelope, key: str) -> bytes | None:
    """Return what was sealed with this key; ``None`` if it was not."""
    iv, tag, ciphertext = map(bytes.fromhex, envelope)
    decryptor = Cipher(AES(bytes.fromhex(key)), GCM(iv, tag)).decryptor()
    try:
        return decryptor.update(ciphertext) + decryptor.finalize()
    except InvalidTag:
        return None


def flaw(stored: object, value: Any, key: str) -> str:
    """Return why ``stored`` is not the envelope of a JSON value under this key, in words; empty if it is."""
    envelope = parse(stored)
    if envelope is None:
        return f"{short_repr(stored, 120)}, which is not {FORM}"
    plain = opened(envelope, key)
    if plain is None:
        return "an envelope that AES-256-GCM with the key, and no associated data, does not open"
    try:
        held = json.loads(plain.decode())
    except ValueError:
        return "an envelope over what is not JSON in UTF-8"
    found = first_difference(held, value)
    return f"an envelope over {found}" if found else ""
