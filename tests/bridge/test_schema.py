"""The document, the schema and the code agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from pytest_mcp_storage.bridge import borrowed, harness, wire
from pytest_mcp_storage.bridge.errors import DECLINED, TYPED
from pytest_mcp_storage.bridge.handshake import PROTOCOL
from pytest_mcp_storage.bridge.mcp_ts.package import VERSIONS
from pytest_mcp_storage.commands.bridge_kit import KIT, bridge_kit
from pytest_mcp_storage.spec.capabilities import Capability

DOCUMENT = (Path(__file__).parents[2] / "docs" / "bridge-protocol.md").read_text()
NODE = (Path(harness.__file__).parent / "node" / "serve.mjs").read_text()


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["calls"].keys() == schema["$defs"]["results"].keys()


def test_every_call_is_documented_and_served(schema: dict[str, Any]) -> None:
    for call in schema["$defs"]["calls"]:
        assert f"`{call}`" in DOCUMENT, call
        assert re.search(rf"\b{call}\b", NODE), call


def test_names_agree(schema: dict[str, Any]) -> None:
    capabilities = schema["$defs"]["results"]["hello"]["properties"]["capabilities"]["items"]["enum"]
    assert capabilities == list(Capability.__members__)
    assert all(f"| `{name}` |" in DOCUMENT for name in capabilities)
    assert all(f"| `{name}` |" in DOCUMENT and f'"{name}"' in NODE for name in TYPED)
    assert f"`{DECLINED}`" in DOCUMENT
    levels = schema["$defs"]["log"]["properties"]["log"]["properties"]["level"]["enum"]
    assert levels == list(wire.LEVELS)
    assert schema["$defs"]["calls"]["hello"]["properties"]["protocol"]["const"] == PROTOCOL
    assert f"version {PROTOCOL}" in schema["title"]
    assert f"version {PROTOCOL}\n" in DOCUMENT


def test_numbers_agree() -> None:
    limits = wire.Limits()
    assert f"After {limits.call:g} seconds" in DOCUMENT
    assert f"within {limits.ping:g} seconds" in DOCUMENT
    assert f"`hello` has {limits.start:g} seconds" in DOCUMENT
    assert f"have {limits.provision:g}." in DOCUMENT
    assert f"after {limits.leave:g} seconds it is killed" in DOCUMENT
    assert borrowed.REMEMBERED <= 8, "bridges keep the objects of the last eight"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"id": 0, "result": 1},
        {"id": 1},
        {"id": 1, "result": 1, "error": {"type": "StorageError", "message": ""}},
        {"id": 1, "error": {"type": "StorageError"}},
        {"id": 1, "error": {"type": "StorageError", "message": "", "secret": ""}},
        {"log": {"level": "LOUD", "message": ""}},
        {"log": {"level": "INFO", "message": ""}, "id": 1},
        {"id": 1, "call": "makeCoffee"},
        {"id": 1, "call": "getSession", "identity": "u", "sessionId": "s"},
        {"id": 1, "call": "removeSession", "handle": "h", "identity": {"$": "nothing"}, "sessionId": "s"},
    ],
)
def test_the_schema_refuses(schema: dict[str, Any], message: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(schema).is_valid(message)


def test_the_kit_is_copied_and_never_over_other_files(tmp_path: Path) -> None:
    assert CliRunner().invoke(bridge_kit, [str(tmp_path / "bridge")]).exit_code == 0
    assert {path.name for path in (tmp_path / "bridge").iterdir()} == {Path(name).name for name in KIT}
    assert CliRunner().invoke(bridge_kit, [str(tmp_path / "bridge")]).exit_code == 0
    (tmp_path / "bridge" / "serve.mjs").write_text("mine")
    refused = CliRunner().invoke(bridge_kit, [str(tmp_path / "bridge")])
    assert refused.exit_code == 1
    assert "move it away" in refused.output
    assert (tmp_path / "bridge" / "serve.mjs").read_text() == "mine"


def test_upstreams_versions_are_exact() -> None:
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in VERSIONS.values())
