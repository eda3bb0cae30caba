"""The keys of a Supabase project: what signs its users' tokens, and the opaque keys of two roles."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

from pytest_mcp_storage.stacks.signing import Jwk, new_jwk, public_jwks, sign
from reference_backends.core.errors import ConfigurationError

KIND_VARIABLE = "MCP_STORAGE_SUPABASE_KEYS"
Kind = Literal["hs256", "es256"]


def key_kind(environ: Mapping[str, str]) -> Kind:
    """Return the kind of keys that a stack is started with, ``hs256`` by default.

    Raises :class:`ConfigurationError` if ``MCP_STORAGE_SUPABASE_KEYS`` names another.
    """
    kind = environ.get(KIND_VARIABLE) or "hs256"
    if kind not in ("hs256", "es256"):
        raise ConfigurationError(f"{KIND_VARIABLE} is neither hs256 nor es256: set it to one of them, or unset it")
    return cast(Kind, kind)


@dataclass(frozen=True, repr=False)
class ProjectKeys:
    """What a project hands to its applications. The process that has the gateway makes them.

    ``es256`` is a project of today: tokens are signed with a private key, and only the opaque keys open the gateway.
    ``hs256`` is an older one: its secret signs the tokens, and also two of them, anon and service_role, that are keys.
    """

    kind: Kind
    publishable: str
    secret: str
    jwt_secret: str | None = None
    signing_key: Jwk | None = None

    @classmethod
    def generate(cls, kind: Kind = "hs256") -> ProjectKeys:
        """Return new random keys: a secret of 256 bits or a key on P-256, and opaque keys of 160 bits."""
        return cls(
            kind=kind,
            publishable=f"sb_publishable_{secrets.token_hex(20)}",
            secret=f"sb_secret_{secrets.token_hex(20)}",
            jwt_secret=secrets.token_hex(32) if kind == "hs256" else None,
            signing_key=new_jwk() if kind == "es256" else None,
        )

    @property
    def signer(self) -> str | Jwk:
        """What signs tokens."""
        key = self.signing_key or self.jwt_secret
        assert key is not None
        return key

    @property
    def verifier(self) -> str:
        """What PostgREST verifies tokens with, as its ``jwt-secret``."""
        return public_jwks(self.signing_key) if self.signing_key else str(self.jwt_secret)

    @cached_property
    def anon(self) -> str:
        """The JWT of nobody in particular."""
        return sign(self.signer, "anon")

    @cached_property
    def service_role(self) -> str:
        """The JWT that row security does not bind."""
        return sign(self.signer, "service_role")

    @cached_property
    def accepted(self) -> dict[str, str]:
        """The keys that the gateway takes, with the JWT that it sends on for each."""
        opaque = {self.publishable: self.anon, self.secret: self.service_role}
        legacy = {self.anon: self.anon, self.service_role: self.service_role}
        return opaque if self.kind == "es256" else opaque | legacy

    def told(self) -> dict[str, str | None]:
        """Return what the project's dashboard shows, by attribute of ``SupabaseStack``."""
        legacy = self.kind == "hs256"
        return {
            "anon_key": self.anon if legacy else None,
            "service_role_key": self.service_role if legacy else None,
            "jwt_secret": self.jwt_secret,
            "publishable_key": self.publishable,
            "secret_key": self.secret,
            "signing_key": json.dumps(self.signing_key) if self.signing_key else None,
        }
