"""The SDK's ``OAuthContext``, with the expiry of stored tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import Self

from mcp.client.auth.oauth2 import OAuthContext
from mcp.shared.auth import OAuthToken

from reference_backends.core.protocol import Clock


@dataclass
class SessionContext(OAuthContext):
    """What the SDK's flow knows about a login. Its refresh is switched off: the provider refreshes under a lock."""

    clock: Clock = time.time
    lifetime: float | None = None
    """The lifetime of the access token in seconds, if it is known."""

    @classmethod
    def of(cls, context: OAuthContext, clock: Clock) -> Self:
        """Return a copy of the context that the SDK made."""
        return cls(**{field.name: getattr(context, field.name) for field in fields(context)}, clock=clock)

    def update_token_expiry(self, token: OAuthToken) -> None:
        """Set when new tokens expire."""
        self.lifetime = token.expires_in
        self.token_expiry_time = None if token.expires_in is None else self.clock() + token.expires_in

    def is_token_valid(self) -> bool:
        """Return whether the access token has not expired."""
        return self.lasts(0)

    def can_refresh_token(self) -> bool:
        """Return ``False``, so that the SDK never refreshes without the lock."""
        return False

    def lasts(self, leeway: float) -> bool:
        """Return whether the access token is valid for longer than ``leeway``, at most a tenth of its lifetime."""
        if not self.current_tokens or not self.current_tokens.access_token:
            return False
        if self.token_expiry_time is None:
            return True
        leeway = leeway if self.lifetime is None else min(leeway, self.lifetime / 10)
        return self.token_expiry_time - self.clock() > leeway
