"""Why PostgREST or a gateway refuses a key or a login, and what to do: PGRST300 to PGRST303, and HTTP 401."""

from __future__ import annotations

from reference_backends.core.errors import ConfigurationError, StorageError, StorageSetupError, StorageUnavailableError

TOKEN_CODES = {"PGRST300", "PGRST301", "PGRST302", "PGRST303"}

_REMEDY = (
    "set SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY) from Project Settings > API Keys, "
    "or sign in again if a user's login is used"
)


def refused_token(code: str, message: str, in_use: bool) -> StorageError:
    """Return the error for a refused token. ``code`` is empty if a gateway refused it.

    ``message`` is the server's in lower case. ``in_use``: the server accepted the token before, at ``init``.
    """
    if code == "PGRST300":
        return StorageSetupError(
            "this project's PostgREST has no JWT secret, so it can check no key (PGRST300): "
            "set PGRST_JWT_SECRET on a self-hosted server; restart a hosted project"
        )
    reason, remedy = _reason(code, message.replace(" ", "")), _REMEDY
    if "clock" in reason:
        remedy = "set the clocks of both by NTP, then retry"
    number = code or "HTTP 401"
    if in_use:
        return StorageUnavailableError(
            f"Supabase refuses the key or login that it accepted before: key expired or rotated ({reason}; {number}). "
            f"A new key in the client's supabase_key, or from api_key, is used by the next call; {remedy}"
        )
    return ConfigurationError(f"Supabase refuses this key or login: {reason} ({number}); {remedy}")


def _reason(code: str, message: str) -> str:
    """Return the reason. ``message`` has no blanks: PostgREST 12 says JWTIssuedAtFuture, later ones use blanks."""
    if "issuedatfuture" in message or "notyetvalid" in message:
        return "its token is issued in the future, so the clocks of the signer and the server differ (clock skew)"
    if "expired" in message:
        return "it is expired"
    if "audience" in message:
        return "its token is for another audience"
    if code == "PGRST302":
        return "none was sent, and this project allows no anonymous requests"
    if code == "PGRST303":
        return "a claim of its token is not valid"
    if code == "PGRST301":
        return "it is not signed by this project: it is of another project, or the project's JWT keys were changed"
    return "it is expired, revoked or of another project"
