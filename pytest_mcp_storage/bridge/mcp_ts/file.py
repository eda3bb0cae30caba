"""Upstream's sessions in a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pytest_mcp_storage.bridge.mcp_ts.harness import McpTsHarness
from pytest_mcp_storage.harnesses.file import FileHarness
from pytest_mcp_storage.spec.capabilities import Capability


class McpTsFile(McpTsHarness):
    """``FileStorageBackend`` of ``@mcp-ts/sdk``. Its file has the layout of ours."""

    name: ClassVar[str] = "mcp-ts:file"
    store: ClassVar[str] = "file"
    capabilities = FileHarness.capabilities - {Capability.KEY, Capability.DEFAULT_TTL}
    underlying: FileHarness

    def provisioned(self) -> FileHarness:
        return FileHarness()

    def settings(self) -> Mapping[str, str]:
        return {"MCP_TS_STORAGE_FILE": str(self.underlying.path)}
