"""What every handle on a store has in common: its key, its clock, its default TTL, and its life cycle."""

from __future__ import annotations

import logging
import math
import os
import secrets
import string
import time
from collections.abc import Sequence
from typing import TypedDict

from reference_backends.core.errors import ConfigurationError, StorageError
from reference_backends.core.keyring import Keyring
from reference_backends.core.protocol import DEFAULT_TTL, Clock, StorageBackend
from reference_backends.core.record import RecordCodec
from reference_backends.core.validation import LONGEST_TTL, check_ttl

logger = logging.getLogger("reference_backends")

ID_LENGTH = 16
"""A letter and 15 letters or digits: 95 bits (LC-13 asks for 70)."""

_ALPHABET = string.ascii_letters + string.digits


def new_session_id() -> str:
    """A letter, then letters and digits, from the system's source of randomness (LC-13)."""
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH - 1))


class BackendOptions(TypedDict, total=False):
    """The keyword arguments that every bundled backend takes."""

    encryption_key: str | Sequence[str] | None
    default_ttl: float
    clock: Clock


class BaseBackend(StorageBackend):
    """Base of the bundled backends, whose methods keep the protocol's promises and inherit its words.

    ``encryption_key``: 64 hexadecimal digits, or several such keys: the first encrypts, each decrypts; ``None``: no
    key. ``default_ttl`` is in seconds, ``clock`` gives seconds since the epoch. Raises :class:`ConfigurationError` for
    a bad key (EN-8) or a bad default TTL.
    """

    label = "store"
    """How log records and errors call this kind of store."""

    def __init__(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        default_ttl: float = DEFAULT_TTL,
        clock: Clock = time.time,
        seal_all: bool = True,
    ) -> None:
        keyring = None if encryption_key is None else Keyring(encryption_key)
        self._codec = RecordCodec(keyring, seal_all=seal_all)
        self._default_ttl = _default_ttl(default_ttl)
        self._clock = clock
        self._open = False
        self._process = os.getpid()
        self._warned = False

    @property
    def encrypts(self) -> bool:
        """Whether an encryption key is set."""
        return self._codec.seals

    def generate_session_id(self) -> str:
        return new_session_id()

    def _lifetime(self, ttl: float | None) -> float:
        """Seconds that a session written now shall live. Raises ``InvalidSessionError`` (EX-8)."""
        return self._default_ttl if ttl is None else check_ttl(ttl)

    def _expiry(self, ttl: float | None) -> float:
        """The moment, in seconds since the epoch, from which a session written now is no longer served."""
        return self._clock() + self._lifetime(ttl)

    def _expiry_ms(self, ttl: float | None) -> int:
        """The same in whole milliseconds, rounded up: a session never ends early (EX-1)."""
        return math.ceil(self._expiry(ttl) * 1000)

    def _now_ms(self) -> int:
        """The clock in whole milliseconds, rounded down."""
        return math.floor(self._clock() * 1000)

    def _opened(self) -> None:
        """Note that the store is open, and warn once where it has no key (MX-4)."""
        self._open = True
        self._process = os.getpid()
        if not self._codec.seals and not self._warned:
            self._warned = True
            logger.warning(
                "[mcp-storage] %s: no encryption key is set, tokens and headers are stored in clear; "
                "set STORAGE_ENCRYPTION_KEY (make a key with: mcp-storage key)",
                self.label,
            )

    def _require_open(self) -> None:
        """Raise :class:`StorageError` before ``init``, after ``disconnect`` (LC-12), and in a child of a fork."""
        if self._has_forked:
            raise StorageError("this store was opened before the process forked; open one in this process")
        if not self._open:
            raise self._not_open()

    @property
    def _has_forked(self) -> bool:
        """Whether this process is a child of the one that made or last opened the store.

        A child has its parent's memory and sockets, and none of its threads.
        """
        return self._process != os.getpid()

    def _not_open(self) -> StorageError:
        return StorageError(f"this {self.label} store is not open; await init() first")


def _default_ttl(seconds: object) -> float:
    try:
        return check_ttl(seconds)
    except ValueError:
        pass
    raise ConfigurationError(f"default_ttl must be a number of seconds above 0 and at most {LONGEST_TTL}")
