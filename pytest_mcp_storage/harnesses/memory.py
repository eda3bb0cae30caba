"""The memory store: each handle is a separate store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness

if TYPE_CHECKING:
    from reference_backends import Clock, MemoryStorageBackend


class MemoryHarness(BackendHarness):
    """Drives :class:`reference_backends.MemoryStorageBackend`."""

    name: ClassVar[str] = "memory"
    capabilities = frozenset({Capability.KEY, Capability.CLOCK, Capability.DEFAULT_TTL})

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> MemoryStorageBackend:
        from reference_backends import MemoryStorageBackend

        backend = MemoryStorageBackend(**backend_options(encryption_key, clock, default_ttl))
        await backend.init()
        return backend
