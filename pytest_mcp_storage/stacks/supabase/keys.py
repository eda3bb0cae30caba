"""The keys of a Supabase project: JWTs signed with its secret, and the opaque keys that stand for two of them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from functools import cached_property

TEN_YEARS = 3650 * 86400.0


def sign(jwt_secret: str, role: str, *, subject: str | None = None, lifetime: float = TEN_YEARS) -> str:
    """A JWT (RFC 7519, HS256) that PostgREST takes as ``role``; ``lifetime`` in seconds, negative: expired."""
    import jwt

    now = time.time()
    claims: dict[str, object] = {"iss": "supabase", "role": role, "iat": int(now), "exp": int(now + lifetime)}
    if subject is not None:
        claims |= {"sub": subject, "aud": "authenticated"}
    return jwt.encode(claims, jwt_secret, algorithm="HS256")


@dataclass(frozen=True, repr=False)
class ProjectKeys:
    """What a project hands to its applications: made once, where the gateway is, and told from there."""

    jwt_secret: str
    publishable: str
    secret: str

    @classmethod
    def generate(cls) -> ProjectKeys:
        """New random keys: a secret of 256 bits, and opaque keys of 160."""
        return cls(
            jwt_secret=secrets.token_hex(32),
            publishable=f"sb_publishable_{secrets.token_hex(20)}",
            secret=f"sb_secret_{secrets.token_hex(20)}",
        )

    @cached_property
    def anon(self) -> str:
        """The JWT of nobody in particular."""
        return sign(self.jwt_secret, "anon")

    @cached_property
    def service_role(self) -> str:
        """The JWT that row security does not bind."""
        return sign(self.jwt_secret, "service_role")

    def told(self) -> dict[str, str]:
        """Return what the project's dashboard shows, by attribute of ``SupabaseStack``."""
        return {
            "anon_key": self.anon,
            "service_role_key": self.service_role,
            "jwt_secret": self.jwt_secret,
            "publishable_key": self.publishable,
            "secret_key": self.secret,
        }
