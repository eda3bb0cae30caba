"""Names of backends behind a bridge."""

from __future__ import annotations

import pytest

from pytest_mcp_storage.bridge.backend_names import MCP_TS_STORES, mcp_ts_path, stdio_harness
from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.session.backends import resolve
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness


def test_a_command_is_split_as_a_shell_would() -> None:
    made = stdio_harness("node './my bridge.mjs' --fast")
    assert issubclass(made, StdioHarness)
    assert made.command == ("node", "./my bridge.mjs", "--fast")
    assert made.name == "stdio:node './my bridge.mjs' --fast"
    assert (made.__module__, made.__qualname__) == (StdioHarness.__module__, StdioHarness.__qualname__)


@pytest.mark.parametrize("store", MCP_TS_STORES)
def test_each_store_of_upstream_has_a_harness(store: str) -> None:
    made = resolve(f"mcp-ts:{store}")
    assert isinstance(made, type)
    assert issubclass(made, BackendHarness)
    assert made.name == f"mcp-ts:{store}"
    assert (Capability.KEY in made.capabilities) == (store == "supabase"), "it encrypts nowhere else"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "needs a command"),
        ("node 'x", "can't be split"),
        ("no-such-program --x", "'no-such-program' is neither on the PATH nor a program's path"),
    ],
)
def test_other_commands_are_refused(command: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stdio_harness(command)


@pytest.mark.parametrize("store", ["mongo", ""])
def test_other_stores_are_refused(store: str) -> None:
    with pytest.raises(ValueError, match="choose from memory, file"):
        mcp_ts_path(store)
