"""Stores that are different after ``disconnect`` and ``init``, or whose ``disconnect`` reaches too far (LC-11)."""

from __future__ import annotations

import time
from typing import Unpack

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import StorageError
from reference_backends.core.base import BackendOptions
from reference_backends.core.protocol import DEFAULT_TTL
from reference_backends.core.record import RecordCodec


@broken("LC-11")
class ForgetsItsClock(InMemoryBackend):
    """Drops its options at ``disconnect``: opened again it uses the machine's time."""

    async def disconnect(self) -> None:
        await super().disconnect()
        self._clock = time.time


@broken("LC-11")
class ForgetsItsDefaultTtl(InMemoryBackend):
    """Drops its default TTL at ``disconnect``: opened again it has the usual one."""

    async def disconnect(self) -> None:
        await super().disconnect()
        self._default_ttl = DEFAULT_TTL


@broken("LC-11")
class KeepsItsFirstKey(InMemoryBackend):
    """Is opened again with the first of its keys alone."""

    keys: tuple[str, ...] = ()

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        keys = options.get("encryption_key") or ()
        self.keys = (keys,) if isinstance(keys, str) else tuple(keys)
        super().__init__(store, **options)

    async def disconnect(self) -> None:
        await super().disconnect()
        if self.keys:
            self._codec = RecordCodec(InMemoryBackend(self.store, encryption_key=self.keys[0])._codec._keyring)


@broken("LC-11")
class TwoDisconnectsCloseAnother(InMemoryBackend):
    """Counts the handles that use its pool; a second ``disconnect`` of one handle counts too."""

    def users(self) -> dict[str, int]:
        found: dict[str, int] = vars(self.store).setdefault("users", {"count": 0})
        return found

    async def init(self) -> None:
        if not self._open:
            self.users()["count"] += 1
        await super().init()

    async def disconnect(self) -> None:
        self.users()["count"] -= 1
        await super().disconnect()

    def _require_open(self) -> None:
        super()._require_open()
        if self.users()["count"] <= 0:
            raise StorageError("the pool is closed")
