"""A session for the stores that are examined, and the problems that the doctor finds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from pytest_mcp_storage.doctor.examination import examine
from pytest_mcp_storage.doctor.finding import Finding
from reference_backends import SessionData

KEY = "ab" * 32
SESSION = SessionData(
    session_id="s1",
    identity="alice",
    server_url="https://mcp.example",
    transport_type="sse",
    callback_url="https://app.example/callback",
    created_at=0,
    tokens={"access_token": "a-secret-token"},
)


async def problems(environ: Mapping[str, str], clock: Callable[[], float] = time.time) -> dict[str, Finding]:
    """Return the warnings and errors by check; each has a message, and no finding shows a secret."""
    findings = await examine(environ, clock)
    text = " ".join(map(str, findings))
    assert not [secret for secret in (KEY, "a-secret-token", "the-password") if secret in text]
    assert all(finding.message for finding in findings)
    return {finding.check: finding for finding in findings if finding.level in ("warning", "error")}
