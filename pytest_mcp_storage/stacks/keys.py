"""The keys of a Supabase project: JWTs signed with its secret, and the opaque keys that stand for two of them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from functools import cached_property

TEN_YEARS = 3650 * 86400.0


def sign(
    jwt_secret: str, role: str, *, subject: str | None = None, lifetime: float = TEN_YEARS, now: float | None = None
) -> str:
    """A JWT (RFC 7519, HS256) that PostgREST takes as ``role``; ``lifetime`` in seconds, negative: expired."""
    import jwt

    now = time.time() if now is None else now
    claims: dict[str, object] = {"iss": "supabase", "role": role, "iat": int(now), "exp": int(now + lifetime)}
    if subject is not None:
        claims |= {"sub": subject, "aud": "authenticated"}
    return jwt.encode(claims, jwt_secret, algorithm="HS256")


@dataclass(frozen=True, repr=False)
class ProjectKeys:
    """What a project hands to its applications."""

    jwt_secret: str
    publishable: str
    secret: str
    issued: float
    """Seconds since the epoch: the two JWTs are signed as of then, so that every process signs the same."""

    @classmethod
    def generate(cls) -> ProjectKeys:
        """New random keys: a secret of 256 bits, and opaque keys of 160."""
        return cls(
            jwt_secret=secrets.token_hex(32),
            publishable=f"sb_publishable_{secrets.token_hex(20)}",
            secret=f"sb_secret_{secrets.token_hex(20)}",
            issued=time.time(),
        )

    @cached_property
    def anon(self) -> str:
        """The JWT of nobody in particular."""
        return sign(self.jwt_secret, "anon", now=self.issued)

    @cached_property
    def service_role(self) -> str:
        """The JWT that row security does not bind."""
        return sign(self.jwt_secret, "service_role", now=self.issued)
