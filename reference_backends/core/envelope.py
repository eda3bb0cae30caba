"""The envelope of one sealed value: ``enc:1:<24 hex IV>:<32 hex tag>:<hex ciphertext>``.

AES-256-GCM over the value's JSON in UTF-8, a fresh 12-byte IV, a 16-byte tag, no associated data. The format is
byte-compatible with ``encryptObject`` of ``@mcp-ts/sdk``. Reading is stricter than there: only lower-case hex is
accepted, all lengths are checked, and nothing is parsed before it is authenticated.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reference_backends.core import strict_json
from reference_backends.core.errors import DecryptionError, InvalidSessionError

PREFIX = "enc:1:"
IV_BYTES = 12
TAG_BYTES = 16
_IV_END = len(PREFIX) + 2 * IV_BYTES
_TAG_END = _IV_END + 1 + 2 * TAG_BYTES


def seal(cipher: AESGCM, value: Any) -> str:
    """Return the envelope of a JSON value. Raise :class:`InvalidSessionError` if the value is not JSON."""
    try:
        plain = strict_json.encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        plain = b""
    if not plain:
        raise InvalidSessionError("only a JSON value can be sealed")
    iv = os.urandom(IV_BYTES)
    sealed = cipher.encrypt(iv, plain, None)
    return f"{PREFIX}{iv.hex()}:{sealed[-TAG_BYTES:].hex()}:{sealed[:-TAG_BYTES].hex()}"


def open_envelope(ciphers: Iterable[AESGCM], text: object) -> Any:
    """Return the JSON value in an envelope, opened by the first cipher that can. Raise :class:`DecryptionError`."""
    iv, sealed = _parts(text)
    for cipher in ciphers:
        try:
            plain = cipher.decrypt(iv, sealed, None)
        except InvalidTag:
            continue
        return _value(plain)
    raise DecryptionError("it was changed, or sealed with another key")


def _parts(text: object) -> tuple[bytes, bytes]:
    """Return the IV, and the ciphertext followed by the tag, as AESGCM takes them."""
    if (
        isinstance(text, str)
        and text.startswith(PREFIX)
        and text[_IV_END : _IV_END + 1] == ":" == text[_TAG_END : _TAG_END + 1]
    ):
        try:
            iv = bytes.fromhex(text[len(PREFIX) : _IV_END])
            sealed = bytes.fromhex(text[_TAG_END + 1 :] + text[_IV_END + 1 : _TAG_END])
        except ValueError:
            pass
        else:
            # fromhex() accepts capitals and skips spaces; only the form that seal() writes is an envelope.
            if len(iv) == IV_BYTES and 2 * len(sealed) == len(text) - _IV_END - 2 and text == text.lower():
                return iv, sealed
    raise DecryptionError("it is not an envelope of the form enc:1:<iv>:<tag>:<ciphertext>")


def _value(plain: bytes) -> Any:
    try:
        return strict_json.decode(plain.decode())
    except (ValueError, RecursionError):
        pass  # raised below, outside the handler: the context of the error would hold the plaintext
    raise DecryptionError("its content is not JSON")
