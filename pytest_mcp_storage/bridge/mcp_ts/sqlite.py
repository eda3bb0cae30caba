"""Upstream's sessions in a SQLite database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pytest_mcp_storage.bridge.mcp_ts.harness import McpTsHarness
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from pytest_mcp_storage.spec.capabilities import Capability


class McpTsSqlite(McpTsHarness):
    """``SqliteStorage`` of ``@mcp-ts/sdk``. Its table has the layout of ours."""

    name: ClassVar[str] = "mcp-ts:sqlite"
    store: ClassVar[str] = "sqlite"
    packages: ClassVar[Sequence[str]] = ("better-sqlite3",)
    capabilities = SqliteHarness.capabilities - {Capability.KEY, Capability.DEFAULT_TTL}
    underlying: SqliteHarness

    def provisioned(self) -> SqliteHarness:
        return SqliteHarness()

    def settings(self) -> Mapping[str, str]:
        return {"MCP_TS_STORAGE_SQLITE_PATH": str(self.underlying.path)}
