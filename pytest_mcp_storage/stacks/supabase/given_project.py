"""The url provider: a project that runs already, named by environment variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from pytest_mcp_storage.stacks.signing import private_jwk
from pytest_mcp_storage.stacks.supabase.stack import (
    MAX_ROWS,
    VARIABLES,
    Say,
    StackServer,
    SupabaseStack,
    on_this_machine,
)
from reference_backends.core.errors import ConfigurationError, StorageUnavailableError

ANSWER_LIMIT = 5.0


class UrlServer(StackServer):
    """A project that this run did not start. Its only store may contain rows of others; it is not ended or emptied."""

    owned = False
    makes_stores = False

    def __init__(self, stack: SupabaseStack) -> None:
        self.provider = stack.provider
        self._stack = stack

    def store(
        self, name: str | None = None, *, migrated: bool = True, max_rows: int = MAX_ROWS, port: int = 0
    ) -> SupabaseStack:
        return self._stack

    def drop(self, stack: SupabaseStack) -> None:
        pass

    def close(self) -> None:
        pass


def start(*, environ: Mapping[str, str], say: Say) -> UrlServer:
    """Return the project of ``SUPABASE_URL``.

    A key must be set too: ``SUPABASE_SECRET_KEY`` or ``SUPABASE_SERVICE_ROLE_KEY``, or a public key,
    ``SUPABASE_PUBLISHABLE_KEY`` or ``SUPABASE_ANON_KEY``. With ``SUPABASE_DB_URL`` a harness can read the database.
    With ``SUPABASE_JWT_SIGNING_KEY`` or ``SUPABASE_JWT_SECRET`` it can sign in users.

    Raises :class:`ConfigurationError` if a variable is missing or is no URL, and
    :class:`StorageUnavailableError` if nothing answers within 5 seconds.
    """
    url = environ.get("SUPABASE_URL", "").rstrip("/")
    if not url:
        raise ConfigurationError("SUPABASE_URL is not set: set it to the project's URL, https://<ref>.supabase.co")
    if (fault := _fault(url)) is not None:
        raise ConfigurationError(f"SUPABASE_URL {fault}: set it to the project's URL, https://<ref>.supabase.co")
    given = {attribute: environ.get(name) or None for name, attribute in VARIABLES.items()}
    if given["signing_key"] is not None:
        given["signing_key"] = json.dumps(private_jwk(given["signing_key"]))
    stack = SupabaseStack(**{**given, "url": url}, provider="url", owned=False, isolated=False)  # type: ignore[arg-type]
    if stack.server_key is None and stack.public_key is None:
        raise ConfigurationError(
            "SUPABASE_URL is set, but no key: set SUPABASE_SECRET_KEY (dashboard, project settings, API keys), "
            "or SUPABASE_SERVICE_ROLE_KEY in an older project"
        )
    say(f"Supabase stack: using the project at {url}")
    _check_reachable(url)
    return UrlServer(stack)


def _fault(url: str) -> str | None:
    """Return what is wrong with a URL, without any part of it; ``None`` if it is valid."""
    try:
        parts = urlsplit(url)
        named = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:  # an invalid bracket, port or host
        named = False
    if not named or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        return "is not an http or https URL"
    return "contains a user's name or password" if "@" in parts.netloc else None


def _check_reachable(url: str) -> None:
    """Check that a server answers. The backend checks the key."""
    import httpx

    try:
        httpx.head(f"{url}/rest/v1/", timeout=ANSWER_LIMIT, trust_env=not on_this_machine(url))
    except httpx.HTTPError as error:
        raise StorageUnavailableError(
            f"the Supabase project at {url} can't be reached ({type(error).__name__}): check the network, or "
            "unset SUPABASE_URL to start a stack; if the project is paused, restore it in its dashboard"
        ) from None
