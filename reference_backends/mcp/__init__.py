"""For the official MCP SDK: its ``TokenStorage`` on any backend.

::

    storage = SessionTokenStorage(backend, identity="alice", server_url="https://mcp.example/mcp")
    provider = OAuthClientProvider("https://mcp.example/mcp", metadata, storage, open_browser, wait_for_code)
"""

from reference_backends.mcp.token_storage import SessionTokenStorage

__all__ = ["SessionTokenStorage"]
