"""A Supabase stack for a run, and the interface of the servers that provide one."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from reference_backends.core.errors import ConfigurationError, StorageSetupError

MAX_ROWS = 1000
"""The most rows in an answer, as in a hosted project."""

VARIABLES = {
    "SUPABASE_URL": "url",
    "SUPABASE_SECRET_KEY": "secret_key",
    "SUPABASE_PUBLISHABLE_KEY": "publishable_key",
    "SUPABASE_SERVICE_ROLE_KEY": "service_role_key",
    "SUPABASE_ANON_KEY": "anon_key",
    "SUPABASE_JWT_SIGNING_KEY": "signing_key",
    "SUPABASE_JWT_SECRET": "jwt_secret",
    "SUPABASE_DB_URL": "database_url",
}
"""Environment variable -> attribute of :class:`SupabaseStack`."""

Say = Callable[[str], None]


def on_this_machine(url: str) -> bool:
    """Return whether a URL is on this machine; the environment's proxies are then ignored."""
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class SupabaseStack:
    """One project: a database behind a gateway, and its keys."""

    url: str
    """The gateway's base URL; clients append ``/rest/v1``."""
    anon_key: str | None = field(repr=False)
    service_role_key: str | None = field(repr=False)
    jwt_secret: str | None = field(repr=False)
    """The secret that signs users' tokens; ``None`` if it is not known."""
    database_url: str | None = field(repr=False)
    """PostgreSQL's connection string of a role that bypasses row security; ``None`` if it is not known."""
    provider: str
    owned: bool
    """Whether this run started the server, so that it contains nobody else's data."""
    isolated: bool
    """Whether this store was made only for the caller: store-wide calls touch no rows of others."""
    publishable_key: str | None = field(default=None, repr=False)
    """``sb_publishable_…``, which replaces the anon key."""
    secret_key: str | None = field(default=None, repr=False)
    """``sb_secret_…``, which replaces the service role key."""
    signing_key: str | None = field(default=None, repr=False)
    """A private JSON Web Key, as JSON, that signs users' tokens in place of the secret; ``None`` if it is not known."""

    @property
    def server_key(self) -> str | None:
        """Return the key that bypasses row security; the newer kind if both are known."""
        return self.secret_key or self.service_role_key

    @property
    def public_key(self) -> str | None:
        """Return the public key, which is sent with a user's token; the newer kind if both are known."""
        return self.publishable_key or self.anon_key

    def token(self, user: str, *, lifetime: float = 3600.0) -> str:
        """Return a JWT of the signed-in user ``user``, valid for ``lifetime`` seconds (negative: expired already).

        Raises :class:`ConfigurationError` if neither the project's signing key nor its secret is known.
        """
        if not self.signs_tokens:
            raise ConfigurationError(
                "a user's token can't be signed: set SUPABASE_JWT_SIGNING_KEY to the project's private JSON Web Key, "
                "or SUPABASE_JWT_SECRET to the secret of an older project (dashboard, project settings, JWT keys)"
            )
        from pytest_mcp_storage.stacks.signing import sign

        key = json.loads(self.signing_key) if self.signing_key else str(self.jwt_secret)
        return sign(key, "authenticated", subject=user, lifetime=lifetime)

    @property
    def signs_tokens(self) -> bool:
        """Return whether :meth:`token` can sign."""
        return bool(self.signing_key or self.jwt_secret)


class StackServer(ABC):
    """A running stack. Every call blocks until it has finished, and may be made from any thread."""

    provider: str
    owned: bool
    """Whether this run started it."""
    makes_stores: bool
    """Whether each call of :meth:`store` makes a new store, also one without migrations."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @abstractmethod
    def store(
        self, name: str | None = None, *, migrated: bool = True, max_rows: int = MAX_ROWS, port: int = 0
    ) -> SupabaseStack:
        """Make an empty store for the caller if the server can, else return the only store.

        ``migrated=False`` leaves the migrations out. The result's ``isolated`` says whether the store is new.
        """

    @abstractmethod
    def drop(self, stack: SupabaseStack) -> None:
        """Destroy a store that :meth:`store` made; leave one that it found as it is."""

    def pause(self, stack: SupabaseStack) -> None:
        """Make the gateway of ``stack`` refuse connections.

        Raises :class:`StorageSetupError` if this run can't stop the gateway: a hosted project's, or the cli's.
        """
        raise StorageSetupError(f"the gateway of {self.provider} can't be stopped: use --mcp-supabase=native")

    def resume(self, stack: SupabaseStack) -> None:
        """Open the gateway of ``stack`` again, on the same port."""
        raise StorageSetupError(f"the gateway of {self.provider} can't be stopped: use --mcp-supabase=native")

    def facts(self) -> dict[str, Any]:
        """Return process ids, folders and start times in seconds, as far as the provider knows them."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """End what this run started, and nothing else. May be called twice."""
