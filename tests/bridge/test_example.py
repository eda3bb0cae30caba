"""The one-file bridge passes the suite, and all its lines are valid by the schema."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytest_mcp_storage.bridge
from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import NotMeasurable
from reference_backends import InvalidSessionError, SessionData, SessionExistsError, SessionNotFoundError, StorageError

EXAMPLE = Path(pytest_mcp_storage.bridge.__file__).parent / "examples" / "memory_bridge.py"

Make = Callable[..., SessionData]


async def test_every_call_keeps_to_the_schema(example: StdioHarness, validator: Any, session: Make) -> None:
    clock = [1_790_000_000.5]
    async with example as harness:
        assert harness.capabilities == {Capability.CLOCK, Capability.DEFAULT_TTL}
        assert harness.version == "memory-bridge 1"
        backend = await harness.open(clock=lambda: clock[0], default_ttl=60)
        rich = session(
            tokens={"a": -0.0, "$": 1}, headers={"h": "\U0001f600"}, active=False, client_information={"$": {}}
        )
        await backend.init()
        assert len({backend.generate_session_id() for _ in range(1000)}) == 1000
        await backend.create_session(rich, 30)
        with pytest.raises(SessionExistsError):
            await backend.create_session(rich)
        assert await backend.get_session("u1", "s1") == rich
        await backend.update_session("u1", "s1", {"tokens": None, "server_name": "n"})
        changed = rich.model_copy(update={"tokens": None, "server_name": "n"})
        assert await backend.get_identity_sessions_data("u1") == [changed]
        assert await backend.get_identity_mcp_sessions("u1") == await backend.get_all_session_ids() == ["s1"]
        clock[0] += 61
        assert await backend.get_session("u1", "s1") is None
        with pytest.raises(SessionNotFoundError):
            await backend.update_session("u1", "s1", {})
        with pytest.raises(InvalidSessionError):
            await backend.create_session(rich, float("nan"))
        with pytest.raises(InvalidSessionError):
            await backend.get_session("u1", "\ud800")
        with pytest.raises(InvalidSessionError):
            await backend.update_session("u1", "s1", {"created_at": 2**60})
        await backend.create_session(rich)
        await backend.cleanup_expired_sessions()
        await backend.remove_session("u1", "s1")
        await backend.clear_all()
        await backend.disconnect()
        with pytest.raises(StorageError):
            await backend.get_session("u1", "s1")
        with pytest.raises(NotMeasurable, match="can't open"):
            await harness.open(encryption_key="00" * 32)
        with pytest.raises(NotMeasurable, match="can't storedBytes"):
            await harness.stored_bytes()
    assert "alter" not in validator.answered
    assert {"hello", "provision", "open", "createSession", "disconnect", "destroy"} <= set(validator.answered)


def test_it_needs_nothing_but_the_standard_library() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(EXAMPLE.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_it_passes_the_suite(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--mcp-tier=smoke"]
    bridge = f"--mcp-backend=stdio:{shlex.join([sys.executable, '-S', str(EXAMPLE)])}"
    run = subprocess.run(
        [*command, bridge, "--mcp-strict", "--mcp-report=report.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    (backend,) = json.loads((tmp_path / "report.json").read_text())["backends"]
    assert run.returncode == 0, run.stdout
    assert backend["verdict"] == "conformant"
    assert backend["capabilities"] == ["CLOCK", "DEFAULT_TTL"]
