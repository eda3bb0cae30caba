"""For the official MCP SDK: logins on any backend.

::

    storage = SessionTokenStorage(backend, identity="alice", server_url="https://mcp.example/mcp")
    provider = SessionOAuthProvider("https://mcp.example/mcp", metadata, storage, open_browser, wait_for_code)

``SessionTokenStorage`` works with ``mcp`` 1.20 and later, ``SessionOAuthProvider`` with 1.23 and later.
"""

from typing import Any

from reference_backends.mcp.token_storage import SessionTokenStorage

__all__ = ["SessionOAuthProvider", "SessionTokenStorage"]

try:
    from reference_backends.mcp.provider import SessionOAuthProvider
except ImportError as error:  # older releases of mcp lack what the provider imports
    _reason = error

    def __getattr__(name: str) -> Any:
        if name == "SessionOAuthProvider":
            raise ImportError("SessionOAuthProvider needs mcp 1.23 or later: pip install 'mcp>=1.23'") from _reason
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
