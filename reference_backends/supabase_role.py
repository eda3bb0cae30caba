"""Which role a Supabase client acts as, read off its own credentials; nothing is verified here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supabase import AsyncClient


def acts_as_anon(client: AsyncClient) -> bool:
    """Whether neither a service key nor a signed-in user stands behind the client's requests."""
    import jwt

    token = client.options.headers.get("Authorization", "").removeprefix("Bearer ")
    if token.startswith("sb_"):
        return token.startswith("sb_publishable_")
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return False  # the server says what is wrong with it
    return bool(claims.get("role") == "anon")
