"""Values and sessions written by hand: those that stores are known to lose or alter, up to the limits."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.oracle.limits import LARGEST_NUMBER, LATEST_MOMENT_MS

EDGE_CASE_TEXTS = (
    "",
    " ",
    "null",
    "__proto__",
    "constructor",
    "é",
    "e\u0301",
    "\u2028\u2029",
    "\x01\x1f\x7f\x85",
    "\ufeff",
    "\uffff",
    "👩‍👩‍👧",
    "\U0010ffff",
    "'; DROP TABLE mcp_sessions; --",
    "${HOME} %s {0} \\u0000 \\",
    '"',
    "2026-11-23T00:00:00Z",
    "1e5",
    "0123",
    "true",
    " \t Aa  B ",
    "a\r\nb\rc\n",
    "&lt;&amp;&#39;%41+%20",
    '{"a": [1]}',
    '["b"]',
    "550E8400-E29B-41D4-A716-446655440000",
    "HTTPS://MCP.Example:443/a/../b?q=é&Q#part",
)
EDGE_CASE_NUMBERS = (
    0, 1, -1, 0.1, -0.0, 1e-300, 5e-324, LARGEST_NUMBER, -LARGEST_NUMBER, 1.5e15, 0.1 + 0.2, 123456789.12345679, 2**31,
    2**32,
)  # fmt: skip
EDGE_CASE_JSON: dict[str, Any] = {
    "null": None, "true": True, "false": False, "text": "", "word": "null", "object": {}, "list": [],
    "inner": {"null": None, "no": []}, "": "an empty key", "a.b": {"c.d": 1}, "$set": {"$inc": 1},
    "__proto__": {"x": None}, "0": "a numeric key", "case": 1, "CASE": 2, "é": 3, "e\u0301": 4, " spaced ": 5,
    "snake_case": 6, "names": ["null", "true", "1", "1e5"],
    "items": ["b", "a", "a", 1, 1, None, [], {}, [[]], [None], [["in"], "out"], True], "only": ["one"],
    "numbers": list(EDGE_CASE_NUMBERS), "numbered": {"0": "a", "1": "b"}, "from one": {"1": "a", "2": "b"},
    "json": ['{"a": [1]}', '["b"]', "550E8400-E29B-41D4-A716-446655440000"],
}  # fmt: skip
EDGE_CASE_NAMES = (
    "a", "b", "A", "aa", "a:b", "b:c", "a/b", "*", "?", "[a]", "%", "_", "a_", "a%", "'", '"', "\\", " ", "a ", ".",
    "..", "é", "e\u0301", "ß", "ss", "İ", "null", "{a}", "a,b", "a\nb", "(a)", "$a", "#", "&", "+", "eq.a", "👩‍👩‍👧",
    "a" * 200,
)  # fmt: skip
MOMENTS = (0, 1, 999, 1_000, 1_700_000_000_123, 2**31, 2**32 * 1000 + 7, LATEST_MOMENT_MS - 1, LATEST_MOMENT_MS)
"""Milliseconds: the first, the last, and those that a shorter number or another unit alters."""

TEXT_FIELDS = ("server_id", "server_name", "server_url", "callback_url", "code_verifier", "client_id")
FILLED: dict[str, Any] = {
    "server_id": "id", "server_name": "name", "server_url": "https://mcp.example", "transport_type": "streamable_http",
    "callback_url": "https://app.example", "created_at": 1_700_000_000_123, "headers": {"X-One": "1", "X-Two": "2"},
    "active": True, "client_information": {"client_id": "app", "redirect_uris": ["https://app.example"]},
    "tokens": {
        "access_token": "at", "refresh_token": "rt", "id_token": "it", "expires_in": 3600, "scope": "read write",
        "more": {"a": 1, "b": 2},
    },
    "code_verifier": "verifier", "client_id": "client",
}  # fmt: skip
"""A value for every field."""
EMPTY: dict[str, Any] = {
    "server_id": "", "server_name": "", "server_url": "", "transport_type": "sse", "callback_url": "", "created_at": 0,
    "headers": {}, "active": False, "client_information": {}, "tokens": {}, "code_verifier": "", "client_id": "",
}  # fmt: skip
"""A value for every field, each of which a careless condition takes for absent."""
EDGE_CASES: dict[str, Any] = {
    **FILLED, **dict.fromkeys(TEXT_FIELDS, " e\u0301\r\n👩‍👩‍👧 "), "created_at": LATEST_MOMENT_MS, "active": None,
    "headers": {"x-Key": " e\u0301 ", "X-Key": ""}, "client_information": EDGE_CASE_JSON, "tokens": EDGE_CASE_JSON,
}  # fmt: skip


def naming_moments(at: float, seconds: int) -> dict[str, Any]:
    """Return tokens and client information that name a moment, as OAuth (RFC 6749, RFC 7591) and its libraries do.

    ``at``: the moment, in seconds since the epoch; ``seconds``: how long until then.
    """
    held = {"expires_at": at, "expiresAt": int(at * 1000), "exp": int(at), "expires_in": seconds, "iat": 1}
    registered = {"client_id": "c", "client_secret_expires_at": int(at), "client_id_issued_at": 1, **held}
    return {"tokens": {"access_token": "t", **held}, "client_information": registered}
