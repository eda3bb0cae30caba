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
    """The keys that a project gives to its applications. The process that has the gateway makes them.

    ``es256`` is a current project: a private key signs the tokens, and the gateway accepts only the opaque keys.
    ``hs256`` is an older one: a secret signs the tokens. Two such tokens, anon and service_role, are keys too.
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
        """Return the key that signs tokens."""
        key = self.signing_key or self.jwt_secret
        assert key is not None
        return key

    @property
    def verifier(self) -> str:
        """Return PostgREST's ``jwt-secret``, with which it verifies tokens."""
        return public_jwks(self.signing_key) if self.signing_key else str(self.jwt_secret)

    @cached_property
    def anon(self) -> str:
        """Return the JWT of a caller who is not signed in."""
        return sign(self.signer, "anon")

    @cached_property
    def service_role(self) -> str:
        """Return the JWT that bypasses row security."""
        return sign(self.signer, "service_role")

    @cached_property
    def accepted(self) -> dict[str, str]:
        """Return the keys that the gateway accepts, each with the JWT that it forwards."""
        opaque = {self.publishable: self.anon, self.secret: self.service_role}
        legacy = {self.anon: self.anon, self.service_role: self.service_role}
        return opaque if self.kind == "es256" else opaque | legacy

    def as_attributes(self) -> dict[str, str | None]:
        """Return the keys that the project's dashboard shows, by attribute of ``SupabaseStack``."""
        legacy = self.kind == "hs256"
        return {
            "anon_key": self.anon if legacy else None,
            "service_role_key": self.service_role if legacy else None,
            "jwt_secret": self.jwt_secret,
            "publishable_key": self.publishable,
            "secret_key": self.secret,
            "signing_key": json.dumps(self.signing_key) if self.signing_key else None,
        }
