"""Names of backends behind a bridge."""

from __future__ import annotations

import pytest

from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.bridge.names import MCP_TS_STORES, bridge_harness
from pytest_mcp_storage.spec.capabilities import Capability


def test_a_command_is_split_as_a_shell_would() -> None:
    made = bridge_harness("stdio:node './my bridge.mjs' --fast")
    assert issubclass(made, StdioHarness)
    assert made.command == ("node", "./my bridge.mjs", "--fast")
    assert made.name == "stdio:node './my bridge.mjs' --fast"
    assert (made.__module__, made.__qualname__) == (StdioHarness.__module__, StdioHarness.__qualname__)


@pytest.mark.parametrize("store", MCP_TS_STORES)
def test_each_store_of_upstream_has_a_harness(store: str) -> None:
    made = bridge_harness(f"mcp-ts:{store}")
    assert made.name == f"mcp-ts:{store}"
    assert (Capability.KEY in made.capabilities) == (store == "supabase"), "it encrypts nowhere else"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stdio:", "needs a command"),
        ("stdio:node 'x", "can't be split"),
        ("stdio:no-such-program --x", "'no-such-program' is neither on the PATH nor a program's path"),
        ("mcp-ts:mongo", "choose from memory, file"),
        ("mcp-ts:", "choose from memory, file"),
        ("ftp:x", "names no bridge"),
        ("memory", "names no bridge"),
    ],
)
def test_other_names_are_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        bridge_harness(name)
