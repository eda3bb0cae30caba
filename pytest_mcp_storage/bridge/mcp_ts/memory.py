"""Upstream's sessions in the memory of its process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pytest_mcp_storage.bridge.mcp_ts.harness import McpTsHarness
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness


class McpTsMemory(McpTsHarness):
    """``MemoryStorageBackend`` of ``@mcp-ts/sdk``. Each handle is a separate store."""

    name: ClassVar[str] = "mcp-ts:memory"
    store: ClassVar[str] = "memory"
    can_fall_back: ClassVar[bool] = False
    capabilities = frozenset({Capability.CLOCK})

    def provisioned(self) -> BackendHarness:
        return BackendHarness()

    def settings(self) -> Mapping[str, str]:
        return {}
