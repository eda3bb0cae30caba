"""For the official MCP SDK: logins on any backend.

::

    storage = SessionTokenStorage(backend, identity="alice", server_url="https://mcp.example/mcp")
    provider = SessionOAuthProvider("https://mcp.example/mcp", metadata, storage, open_browser, wait_for_code)

``SessionTokenStorage`` works with ``mcp`` 1.20 and later, ``SessionOAuthProvider`` with 1.23 and later.

- ``token_storage``: the SDK's ``TokenStorage`` on any backend.
- ``provider``: an OAuth client whose logins survive a restart.
- ``account``: what a provider knows about its session.
- ``renewal``: refreshes tokens before they expire, under a lock.
- ``discovery``: finds the token endpoint, and checks the issuer.
- ``flows``: runs one flow of HTTP requests inside another.
- ``session_context``: the SDK's ``OAuthContext``, with the expiry of stored tokens.
- ``refresh_lock``: a lock across processes and machines.
- ``server_session``: the session of one user at one MCP server.
- ``server_url``: one spelling for each server URL.
- ``stored``: how tokens and client information are stored.
- ``responses``: answers of authorization servers, as the SDK's models accept them.
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
