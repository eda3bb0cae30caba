"""Users' tokens: JWTs signed with a project's secret (HS256), or with a private JSON Web Key (ES256, RS256)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reference_backends.core.errors import ConfigurationError

SIGNING_KEY_VARIABLE = "SUPABASE_JWT_SIGNING_KEY"
TEN_YEARS = 3650 * 86400.0
ALGORITHMS = {"EC": "ES256", "RSA": "RS256"}
"""Key type -> the algorithm that Supabase signs with."""
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
"""Members of a key that only its owner knows (RFC 7518, 6.2.2 and 6.3.2)."""

Jwk = dict[str, Any]


def sign(key: str | Mapping[str, Any], role: str, *, subject: str | None = None, lifetime: float = TEN_YEARS) -> str:
    """Return a JWT (RFC 7519) for ``role``. ``lifetime`` is in seconds; a negative one has expired already.

    ``key`` is the project's secret, or a private JSON Web Key.
    """
    import jwt

    now = time.time()
    claims: dict[str, object] = {"iss": "supabase", "role": role, "iat": int(now), "exp": int(now + lifetime)}
    if subject is not None:
        claims |= {"sub": subject, "aud": "authenticated"}
    if isinstance(key, str):
        return jwt.encode(claims, key, algorithm="HS256")
    algorithm = _algorithm(key)
    headers = {"kid": key["kid"]} if "kid" in key else None
    return jwt.encode(claims, jwt.PyJWK(dict(key), algorithm).key, algorithm=algorithm, headers=headers)


def private_jwk(given: str) -> Jwk:
    """Return the first private key in ``given``: a JSON Web Key, a list or a set of them, or the path of such a file.

    ``supabase gen signing-key`` prints one. Raises :class:`ConfigurationError`, which contains nothing of the key.
    """
    text = given.strip()
    if not text.startswith(("{", "[")):
        try:
            text = Path(text).read_text("utf-8")
        except (OSError, ValueError):
            raise _unusable("is neither JSON nor a file that can be read") from None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        found = found.get("keys", [found])
    keys = [key for key in found or [] if isinstance(key, dict) and key.get("kty") in ALGORITHMS and "d" in key]
    if not keys:
        raise _unusable("holds no private key of type EC or RSA")
    try:
        sign(keys[0], "anon")
    except Exception:  # PyJWT and cryptography raise many types for a damaged key
        keys = []
    if not keys:
        raise _unusable("holds a key that can't sign")
    return dict(keys[0])


def new_jwk() -> Jwk:
    """Return a new private key for ES256, as ``supabase gen signing-key`` makes it."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from jwt.algorithms import ECAlgorithm

    made = json.loads(ECAlgorithm.to_jwk(generate_private_key(SECP256R1())))
    return {**made, "kid": str(uuid.uuid4()), "alg": "ES256", "use": "sig", "key_ops": ["sign", "verify"]}


def public_jwks(key: Mapping[str, Any]) -> str:
    """Return the set of keys, as JSON, with which a server verifies the tokens that ``key`` signed."""
    public = {name: value for name, value in key.items() if name not in PRIVATE}
    return json.dumps({"keys": [{**public, "alg": _algorithm(key), "key_ops": ["verify"]}]})


def _algorithm(key: Mapping[str, Any]) -> str:
    return str(key.get("alg") or ALGORITHMS[key["kty"]])


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{SIGNING_KEY_VARIABLE} {why}: set it to the project's private JSON Web Key, or to the path of its file; "
        "supabase gen signing-key makes one to import (dashboard, project settings, JWT keys)"
    )
