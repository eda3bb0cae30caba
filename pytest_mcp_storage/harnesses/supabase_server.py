"""The server of this process's Supabase stores, and what a project can't do."""

from __future__ import annotations

import atexit
import threading
from typing import cast
from urllib.parse import urlsplit

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.stacks.supabase.providers import Choice, start_stack
from pytest_mcp_storage.stacks.supabase.stack import Say, StackServer, SupabaseStack

_servers: dict[str, StackServer] = {}
_starting = threading.Lock()


def out_of_reach(server: StackServer, stack: SupabaseStack) -> set[Capability]:
    """Return the capabilities that this project lacks."""
    missing = set()
    if stack.database_url is None:
        missing.add(Capability.AT_REST)
    if stack.public_key is None or not stack.signs_tokens:
        missing.add(Capability.ROW_SECURITY)
    if not server.makes_stores:
        missing.add(Capability.SETUP)
    if urlsplit(stack.url).scheme != "http":  # the proxy can't be used with TLS
        missing |= {Capability.OUTAGE, Capability.LOST_ANSWER, Capability.FAIL_STEP}
    return missing


def server_of(provider: str, say: Say) -> StackServer:
    """Return this process's server. It starts on first use and ends with the process."""
    with _starting:
        if provider not in _servers:
            _servers[provider] = start_stack(cast(Choice, provider), say=say)
            atexit.register(_servers[provider].close)
        return _servers[provider]
