"""The database role of a request to Supabase, read from its credentials without verification."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def role_of(authorization: str) -> str | None:
    """Return the role of a request with this ``Authorization`` header; ``None`` if it does not show one."""
    import jwt

    token = authorization.removeprefix("Bearer ")
    if token.startswith("sb_publishable_"):
        return "anon"
    if token.startswith("sb_secret_"):
        return "service_role"
    try:
        role = jwt.decode(token, options={"verify_signature": False}).get("role")
    except jwt.InvalidTokenError:
        return None  # the server reports what is wrong with it
    return role if isinstance(role, str) and _NAME.fullmatch(role) else None
