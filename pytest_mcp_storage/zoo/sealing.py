"""Parts of the mutants that encrypt wrongly: a keyring in small steps, and a store whose parts can be replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Unpack

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from pytest_mcp_storage.canary import envelopes
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, InMemoryStore
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import DecryptionError, Keyring
from reference_backends.core.base import BackendOptions
from reference_backends.core.record import RecordCodec


class SealingBackend(InMemoryBackend):
    """An :class:`InMemoryBackend` with its own keyring and codec."""

    ring: ClassVar[type[Keyring]] = Keyring
    codec: ClassVar[type[RecordCodec]] = RecordCodec

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        keys = options.pop("encryption_key", None)
        super().__init__(store, **options)
        self._codec = self.codec(None if keys is None else self.ring(keys))


class Ring(Keyring):
    """A correct keyring, each step of which can be overridden."""

    tag_bytes: ClassVar[tuple[int, ...]] = (16,)
    """The lengths of tags that are taken."""

    def __init__(self, keys: str | Sequence[str]) -> None:
        self.keys = self.parsed(keys)
        super().__init__([key.hex() for key in self.keys])

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        """Return the bytes of the keys."""
        Keyring(keys)
        return [bytes.fromhex(key) for key in ([keys] if isinstance(keys, str) else keys)]

    def seal(self, value: Any) -> str:
        plain = self.written(value)
        iv = self.iv(plain)
        encryptor = Cipher(AES(self.keys[0]), GCM(iv)).encryptor()
        encryptor.authenticate_additional_data(self.associated())
        ciphertext = encryptor.update(plain) + encryptor.finalize()
        return self.spelled(iv.hex(), encryptor.tag.hex(), ciphertext.hex())

    def open(self, text: str) -> Any:
        for key in self.keys:
            plain = self.opened(key, *self.parts(text))
            if plain is not None:
                return self.read(plain)
        raise DecryptionError("no key opens it")

    def opened(self, key: bytes, iv: bytes, tag: bytes, ciphertext: bytes) -> bytes | None:
        """Return what this key opens; ``None`` if it does not fit."""
        if len(tag) not in self.tag_bytes:
            return None
        decryptor = Cipher(AES(key), GCM(iv, tag, min_tag_length=min(self.tag_bytes))).decryptor()
        decryptor.authenticate_additional_data(self.associated())
        try:
            return decryptor.update(ciphertext) + decryptor.finalize()
        except InvalidTag:
            return None

    def written(self, value: Any) -> bytes:
        """Return the bytes that are sealed for a value."""
        return json.dumps(value).encode()

    def read(self, plain: bytes) -> Any:
        """Return the value in the opened bytes."""
        try:
            return json.loads(plain)
        except ValueError:
            pass  # raised below, outside the handler: the error's context would show the plaintext
        raise DecryptionError("what it holds is not JSON")

    def iv(self, plain: bytes) -> bytes:
        """Return the IV of an envelope over ``plain``."""
        return os.urandom(12)

    def associated(self) -> bytes:
        """Return the associated data."""
        return b""

    def spelled(self, iv: str, tag: str, ciphertext: str) -> str:
        """Return the envelope."""
        return f"enc:1:{iv}:{tag}:{ciphertext}"

    def parts(self, text: str) -> tuple[bytes, bytes, bytes]:
        """Return IV, tag and ciphertext of an envelope."""
        envelope = envelopes.parse(text)
        if envelope is None:
            raise DecryptionError("it is no envelope")
        iv, tag, ciphertext = map(bytes.fromhex, envelope)
        return iv, tag, ciphertext


def loosely(text: str) -> tuple[bytes, bytes, bytes]:
    """Return the parts of any text that resembles an envelope."""
    try:
        iv, tag, ciphertext = (bytes.fromhex(part) for part in text.split(":")[2:])
    except (ValueError, AttributeError):
        raise DecryptionError("it is no envelope") from None
    return iv, tag, ciphertext


def broken_ring(*clauses: str) -> Callable[[type[Ring]], type[InMemoryHarness]]:
    """Like :func:`broken`, for a keyring: of the store that uses it."""
    return lambda ring: _with(ring, clauses, ring=ring)


def broken_codec(*clauses: str) -> Callable[[type[RecordCodec]], type[InMemoryHarness]]:
    """Do the same for a codec."""
    return lambda codec: _with(codec, clauses, codec=codec)


def _with(part: type, clauses: tuple[str, ...], **parts: type) -> type[InMemoryHarness]:
    about = {"__doc__": part.__doc__, "__module__": part.__module__}
    return broken(*clauses)(type(part.__name__, (SealingBackend,), {**about, **parts}))
