"""The repository's tests, in addition to the contract's. They can use its fixtures."""

from __future__ import annotations

import asyncio
from typing import Any

from reference_backends import SessionData


def test_a_session_can_be_read_by_a_second_handle(mcp_backend: Any, mcp_backend_harness: Any) -> None:
    async def scenario() -> None:
        session = SessionData(
            session_id=mcp_backend.generate_session_id(),
            identity="alice",
            server_url="https://mcp.example/sse",
            transport_type="sse",
            callback_url="https://app.example/callback",
            created_at=1_763_900_000_000,
            tokens={"access_token": "at-1"},
        )
        await mcp_backend.create_session(session)
        second = await mcp_backend_harness.open()
        assert await second.get_session("alice", session.session_id) == session
        await second.disconnect()

    asyncio.run(scenario())
