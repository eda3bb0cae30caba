"""Which database role a Supabase client has, read from its own credentials; nothing is verified here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supabase import AsyncClient

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def role_of(client: AsyncClient) -> str | None:
    """Return the role that the client's requests have; ``None`` if its credentials don't show one."""
    import jwt

    token = client.options.headers.get("Authorization", "").removeprefix("Bearer ")
    if token.startswith("sb_publishable_"):
        return "anon"
    if token.startswith("sb_secret_"):
        return "service_role"
    try:
        role = jwt.decode(token, options={"verify_signature": False}).get("role")
    except jwt.InvalidTokenError:
        return None  # the server says what is wrong with it
    return role if isinstance(role, str) and _NAME.fullmatch(role) else None
