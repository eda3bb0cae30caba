"""The url provider: a project that runs already, told by environment variables."""

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


class GivenServer(StackServer):
    """A project that this run found. Its one store may hold anybody's rows, and nothing here ends or empties it."""

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


def start(*, environ: Mapping[str, str], say: Say) -> GivenServer:
    """The project of ``SUPABASE_URL``.

    A key must be set too: ``SUPABASE_SECRET_KEY`` or ``SUPABASE_SERVICE_ROLE_KEY``, or one of the public ones,
    ``SUPABASE_PUBLISHABLE_KEY`` or ``SUPABASE_ANON_KEY``. With ``SUPABASE_DB_URL`` a harness can look into the
    database, and with ``SUPABASE_JWT_SIGNING_KEY`` or ``SUPABASE_JWT_SECRET`` sign in users.

    Raises :class:`ConfigurationError` for a variable that is missing or no URL, and
    :class:`StorageUnavailableError` where nothing answers within 5 seconds.
    """
    url = environ.get("SUPABASE_URL", "").rstrip("/")
    if not url:
        raise ConfigurationError("SUPABASE_URL is not set: it is the project's URL, such as https://<ref>.supabase.co")
    if (fault := _fault(url)) is not None:
        raise ConfigurationError(f"SUPABASE_URL {fault}; it looks like https://<ref>.supabase.co")
    told = {attribute: environ.get(name) or None for name, attribute in VARIABLES.items()}
    if told["signing_key"] is not None:
        told["signing_key"] = json.dumps(private_jwk(told["signing_key"]))
    stack = SupabaseStack(**{**told, "url": url}, provider="url", owned=False, isolated=False)  # type: ignore[arg-type]
    if stack.server_key is None and stack.public_key is None:
        raise ConfigurationError(
            "SUPABASE_URL is set, but no key: set SUPABASE_SECRET_KEY (dashboard, project settings, API keys), "
            "or SUPABASE_SERVICE_ROLE_KEY in an older project"
        )
    say(f"Supabase stack: using the project at {url}")
    _knock(url)
    return GivenServer(stack)


def _fault(url: str) -> str | None:
    """What is wrong with a URL, if anything is; nothing of it is repeated."""
    try:
        parts = urlsplit(url)
        named = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:  # a bracket, a port or a host that is none
        named = False
    if not named or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        return "is no http(s) URL"
    return "holds a user's name or password" if "@" in parts.netloc else None


def _knock(url: str) -> None:
    """See that some server answers; what it says to a key is the backend's to judge."""
    import httpx

    try:
        httpx.head(f"{url}/rest/v1/", timeout=ANSWER_LIMIT, trust_env=not on_this_machine(url))
    except httpx.HTTPError as error:
        raise StorageUnavailableError(
            f"the Supabase project at {url} can't be reached ({type(error).__name__}): check the network, or "
            "unset SUPABASE_URL to start a stack; a project that was paused is restored in its dashboard"
        ) from None
