"""The session that every benchmark stores, with tokens and headers of typical length."""

from __future__ import annotations

from reference_backends import SessionData


def session(session_id: str, identity: str = "alice") -> SessionData:
    return SessionData(
        session_id=session_id,
        identity=identity,
        server_name="Example",
        server_url="https://mcp.example/sse",
        transport_type="streamable_http",
        callback_url="https://app.example/oauth/callback",
        created_at=1_800_000_000_000,
        active=True,
        headers={"Authorization": "Bearer " + "h" * 40},
        tokens={
            "access_token": "a" * 180,
            "refresh_token": "r" * 90,
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": "read write",
        },
    )
