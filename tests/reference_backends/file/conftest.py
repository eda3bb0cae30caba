"""A separate file for each test, and the content that upstream writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reference_backends import SessionData

Build = Callable[..., SessionData]

SECRET = "s3cr3t-canary"

UPSTREAM = [
    {
        "sessionId": "u1",
        "identity": "alice",
        "serverUrl": "https://mcp.example",
        "transportType": "sse",
        "callbackUrl": "https://app.example/callback",
        "createdAt": 1_700_000_000_123,
        "tokens": {"access_token": "at", "expires_in": 3600},
        "active": True,
        "theirs": {"kept": [None, "\ud800"]},
        "nothing": None,
    },
    {
        "sessionId": "u2",
        "identity": "alice",
        "serverUrl": "é",
        "transportType": "streamable_http",
        "callbackUrl": "",
        "createdAt": 0,
    },
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"
