"""The base class of a store: encryption keys, default TTL, clock, session ids and life cycle."""

from __future__ import annotations

import logging
import math
import os
import secrets
import string
import time
from collections.abc import Sequence
from typing import TypedDict

from reference_backends.core.errors import ConfigurationError, SessionExistsError, SessionNotFoundError, StorageError
from reference_backends.core.keyring import Keyring
from reference_backends.core.protocol import DEFAULT_TTL, Clock, StorageBackend
from reference_backends.core.record import RecordCodec
from reference_backends.core.validation import LONGEST_TTL, check_ttl

logger = logging.getLogger("reference_backends")

ID_LENGTH = 16
"""A letter and 15 letters or digits: 95 bits (LC-13 asks for 70)."""

_ALPHABET = string.ascii_letters + string.digits


def new_session_id() -> str:
    """Return a letter followed by letters and digits, from the random source of the operating system (LC-13)."""
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH - 1))


class BackendOptions(TypedDict, total=False):
    """The keyword arguments of :class:`BaseBackend`, for ``**options: Unpack[BackendOptions]``."""

    encryption_key: str | Sequence[str] | None
    default_ttl: float
    clock: Clock


class BaseBackend(StorageBackend):
    """Base of the bundled stores, and of custom ones. A subclass only has to store records.

    ``encryption_key`` is 64 hexadecimal digits, or a sequence of such keys: the first encrypts, each decrypts;
    ``None``: no key. ``default_ttl`` is in seconds. ``clock`` returns seconds since the epoch. The constructor raises
    :class:`ConfigurationError` for a bad key (EN-8) or a bad default TTL.

    A subclass implements the methods of :class:`StorageBackend` except ``generate_session_id``. It checks the arguments
    with :func:`check_session`, :func:`check_names`, :func:`check_changes` and :func:`check_identity`, and uses these
    protected members:

    - ``self._codec.record(session)``: the record of a session: a JSON object of snake_case fields with secrets sealed.
    - ``self._codec.updated(record, changes)``: the record after an update; secrets in clear are sealed.
    - ``self._codec.session(record)``: the session in a record. Raises :class:`DecryptionError`.
    - ``self._expiry(ttl)``, ``self._expiry_ms(ttl)``: the moment when a session that is written now expires. They check
      ``ttl``; ``None`` is the default TTL.
    - ``self._clock()``, ``self._now_ms()``: the current time. A session is live while this is less than its expiry.
    - ``self._opened()``, ``self._closed()``: call them at the end of ``init`` and at the begin of ``disconnect``. The
      first call of ``_opened`` logs a warning if no encryption key is set.
    - ``self._require_open()``: call it in every other method, before the store is used.
    """

    label = "store"
    """The name of this kind of store in log records and errors."""

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
        """Return the seconds that a session lives that is written now. Raise ``InvalidSessionError`` (EX-8)."""
        return self._default_ttl if ttl is None else check_ttl(ttl)

    def _expiry(self, ttl: float | None) -> float:
        """Return when a session that is written now expires, in seconds since the epoch."""
        return self._clock() + self._lifetime(ttl)

    def _expiry_ms(self, ttl: float | None) -> int:
        """Return when a session that is written now expires, in whole milliseconds since the epoch.

        Round up: a session never expires early (EX-1).
        """
        return math.ceil(self._expiry(ttl) * 1000)

    def _now_ms(self) -> int:
        """Return the current time in whole milliseconds since the epoch, rounded down."""
        return math.floor(self._clock() * 1000)

    def _opened(self) -> None:
        """Mark the store as open. Log a warning the first time if it has no encryption key (MX-4)."""
        self._open = True
        self._process = os.getpid()
        if not self._codec.seals and not self._warned:
            self._warned = True
            logger.warning(
                "[mcp-storage] %s: no encryption key is set, tokens and headers are stored in clear; "
                "set STORAGE_ENCRYPTION_KEY (make a key with: mcp-storage key)",
                self.label,
            )

    def _closed(self) -> None:
        """Mark the store as closed."""
        self._open = False

    def _require_open(self) -> None:
        """Raise :class:`StorageError` before ``init``, after ``disconnect`` (LC-12), and in a child of a fork."""
        if self._has_forked:
            raise StorageError("this store was opened before the process forked; open one in this process")
        if not self._open:
            raise self._not_open()

    @property
    def _has_forked(self) -> bool:
        """Whether this process is a child of the one that made or last opened the store.

        A child has the memory and sockets of its parent but none of its threads.
        """
        return self._process != os.getpid()

    def _not_open(self) -> StorageError:
        return StorageError(f"this {self.label} store is not open; await init() first")


def exists_already(session_id: str) -> SessionExistsError:
    """Return the error of a create whose id is in use (LC-1, ID-4)."""
    return SessionExistsError(f"session {session_id!r} exists already")


def not_live(session_id: str) -> SessionNotFoundError:
    """Return the error of an update that finds no live session of its identity (LC-5)."""
    return SessionNotFoundError(f"there is no live session {session_id!r} of this identity")


def _default_ttl(seconds: object) -> float:
    try:
        return check_ttl(seconds)
    except ValueError:
        pass
    raise ConfigurationError(f"default_ttl must be a number of seconds above 0 and at most {LONGEST_TTL}")
