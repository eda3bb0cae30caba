"""Bridges for tests, and the validation of all their lines by the schema."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import pytest_mcp_storage.bridge
from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.bridge.mcp_ts.package import installed
from pytest_mcp_storage.bridge.mcp_ts.sqlite import McpTsSqlite
from pytest_mcp_storage.bridge.mcp_ts.supabase import McpTsSupabase
from reference_backends import SessionData
from tests.parts import missing

PROGRAMS = Path(pytest_mcp_storage.bridge.__file__).parent
EXAMPLE = PROGRAMS / "examples" / "memory_bridge.py"
FULL = Path(__file__).parent / "full.mjs"


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((PROGRAMS / "protocol.schema.json").read_text())
    return loaded


@pytest.fixture(scope="session")
def better_sqlite3() -> None:
    """Skip the test if npm can neither download nor compile the package of upstream's SQLite store."""
    try:
        asyncio.run(installed("better-sqlite3"))
    except BridgeFault as error:
        print(error)
        missing("better-sqlite3", "npm can't install it", "apt-get install g++ libnode-dev, as root")


@pytest.fixture(autouse=True)
def _needs_better_sqlite3(request: pytest.FixtureRequest) -> None:
    if "callspec" in vars(request.node) and McpTsSqlite in request.node.callspec.params.values():
        request.getfixturevalue("better_sqlite3")


class Validator:
    """Validates every line by the schema, and counts the calls."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.calls: dict[int, str] = {}
        self.answered: list[str] = []
        self.line = jsonschema.Draft202012Validator(schema)
        self.results = {
            call: jsonschema.Draft202012Validator({**schema, "oneOf": [{"$ref": f"#/$defs/results/{call}"}]})
            for call in schema["$defs"]["results"]
        }

    def __call__(self, line: bytes) -> None:
        message = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        self.line.validate(message)
        if "call" in message:
            self.calls[message["id"]] = message["call"]
        elif "result" in message:
            call = self.calls[message["id"]]
            self.results[call].validate(message["result"])
            self.answered.append(call)


@pytest.fixture
def validator(schema: dict[str, Any]) -> Validator:
    return Validator(schema)


@pytest.fixture
def example(validator: Validator) -> StdioHarness:
    """Return the one-file bridge; its lines are validated."""
    harness = StdioHarness.of([sys.executable, str(EXAMPLE)])()
    harness.observer = validator
    return harness


@pytest.fixture
def full(validator: Validator) -> StdioHarness:
    """Return a bridge by serve.mjs that declares every capability; its lines are validated."""
    harness = StdioHarness.of(["node", str(FULL)])()
    harness.observer = validator
    return harness


@pytest.fixture
def session() -> Callable[..., SessionData]:
    """Return a function that makes sessions: it makes up the fields that are not given."""

    def made(**fields: Any) -> SessionData:
        given: dict[str, Any] = {
            "session_id": "s1",
            "identity": "u1",
            "server_url": "https://server.example",
            "transport_type": "sse",
            "callback_url": "https://client.example/callback",
            "created_at": 1_790_000_000_000,
        }
        return SessionData(**{**given, **fields})

    return made


@pytest.fixture(autouse=True)
def _needs_node_20(request: pytest.FixtureRequest) -> None:
    """Skip a test of upstream's Supabase store where Node.js lacks the web sockets that supabase-js needs."""
    made = request.node.callspec.params.values() if "callspec" in vars(request.node) else ()
    if McpTsSupabase not in made and McpTsSupabase.__name__ not in request.function.__code__.co_names:
        return
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(done.stdout.removeprefix("v").partition(".")[0]) < 20:
        missing("npm", f"Node.js {done.stdout.strip()}", "install Node.js 20 or newer")
