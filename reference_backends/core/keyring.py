"""The encryption keys of a store: parsed strictly, rotated by their order, never shown."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reference_backends.core import envelope
from reference_backends.core.errors import ConfigurationError, DecryptionError

_KEY = re.compile(r"[0-9a-fA-F]{64}")


class Keyring:
    """Seals and opens values with one key or several: the first seals, each opens (MX-6).

    A key is 64 hexadecimal digits (256 bits). Anything else raises :class:`ConfigurationError`. ``@mcp-ts/sdk`` pads
    or cuts such a key, or stores plaintext (EN-8).

    Source: the ``enc:1:`` envelope of ``@mcp-ts/sdk``.
    """

    __slots__ = ("_ciphers",)

    def __init__(self, keys: str | Sequence[str]) -> None:
        if not isinstance(keys, Iterable):
            raise ConfigurationError("encryption_key must be text or a sequence of texts")
        spelled = [keys] if isinstance(keys, str) else list(keys)
        if not spelled:
            raise ConfigurationError("no encryption key was given; make one with: mcp-storage key")
        self._ciphers = tuple(_cipher(key, place, len(spelled)) for place, key in enumerate(spelled, start=1))

    def seal(self, value: Any) -> str:
        """Return the ``enc:1:`` envelope of a JSON value, with a fresh IV.

        Raise ``InvalidSessionError`` for a value that is not JSON.
        """
        return envelope.seal(self._ciphers[0], value)

    def open(self, text: str) -> Any:
        """Return the value in an envelope.

        Raise :class:`DecryptionError` if no key opens it or the envelope was changed.
        """
        return envelope.open_envelope(self._ciphers, text)

    def is_current(self, text: object) -> bool:
        """Return whether the envelope opens with the first key."""
        try:
            envelope.open_envelope(self._ciphers[:1], text)
        except DecryptionError:
            return False
        return True

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._ciphers)}>"


def new_key() -> str:
    """Return a new random key: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def _cipher(key: object, place: int, of: int) -> AESGCM:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        which = "the encryption key" if of == 1 else f"encryption key {place} of {of}"
        raise ConfigurationError(f"{which} is not 64 hexadecimal digits; make one with: mcp-storage key")
    return AESGCM(bytes.fromhex(key))
