"""What the tests of the runtime library share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reference_backends import SessionData


@pytest.fixture(scope="session")
def key() -> str:
    return "00112233445566778899aabbccddeeff" * 2


@pytest.fixture(scope="session")
def other_key() -> str:
    return "f" * 64


@pytest.fixture(scope="session")
def session() -> Callable[..., SessionData]:
    """Builds a session; fields that a test does not care about are filled in."""

    def build(session_id: str = "s1", identity: str = "alice", **fields: Any) -> SessionData:
        required = {
            "server_url": "https://mcp.example",
            "transport_type": "sse",
            "callback_url": "https://app.example/callback",
            "created_at": 1_700_000_000_123,
        }
        return SessionData(**{"session_id": session_id, "identity": identity} | required | fields)

    return build
