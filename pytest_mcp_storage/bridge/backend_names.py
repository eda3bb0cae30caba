"""The names of backends behind a bridge: ``stdio:COMMAND`` and ``mcp-ts:STORE``."""

from __future__ import annotations

import shlex
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.bridge.harness import StdioHarness

MCP_TS_STORES = {
    "memory": "pytest_mcp_storage.bridge.mcp_ts.memory:McpTsMemory",
    "file": "pytest_mcp_storage.bridge.mcp_ts.file:McpTsFile",
    "sqlite": "pytest_mcp_storage.bridge.mcp_ts.sqlite:McpTsSqlite",
    "redis": "pytest_mcp_storage.bridge.mcp_ts.redis:McpTsRedis",
    "supabase": "pytest_mcp_storage.bridge.mcp_ts.supabase:McpTsSupabase",
}
"""Store of ``@mcp-ts/sdk`` -> ``module:class`` of its harness."""


def stdio_harness(command: str) -> type[StdioHarness]:
    """Return the harness of a bridge program; ``command`` is split as a shell does, and run without a shell.

    Raises ``ValueError`` if the command is empty, its quotes are not closed, or its program is missing; and on Windows.
    """
    _check_system()
    from pytest_mcp_storage.bridge.harness import StdioHarness

    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"stdio:{command} can't be split into words: {error}") from None
    if not words:
        raise ValueError("stdio: needs a command, such as 'stdio:node ./bridge.mjs'")
    if shutil.which(words[0]) is None:
        raise ValueError(f"stdio:{command} can't be started: {words[0]!r} is neither on the PATH nor a program's path")
    return StdioHarness.of(words)


def mcp_ts_path(store: str) -> str:
    """Return the ``module:class`` of a store's harness. Raises ``ValueError`` for one that ``@mcp-ts/sdk`` lacks."""
    _check_system()
    if store not in MCP_TS_STORES:
        raise ValueError(f"@mcp-ts/sdk has no store {store!r}: choose from {', '.join(MCP_TS_STORES)}")
    return MCP_TS_STORES[store]


def _check_system() -> None:
    """Raise ``ValueError`` on Windows, where the suite can't end a bridge with all that it started."""
    if sys.platform == "win32":
        raise ValueError("a bridge can't be run on Windows: use Linux, macOS or WSL")
