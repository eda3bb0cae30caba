"""What the store holds of a session, as the harness shows it (AT_REST)."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation
from reference_backends import SessionData

FIELDS = ("tokens", "headers", "code_verifier", "client_information")
"""The fields that may contain secrets."""


async def stored(context: TestContext, session: SessionData) -> dict[str, Any]:
    """Return what the store holds of these fields, ``None`` for an absent one. Raise ``LookupError`` without a row."""
    fields = await context.harness.stored_fields(session.identity, session.session_id)
    return {field: fields.get(field) for field in FIELDS}


async def row_of(context: TestContext, session: SessionData) -> dict[str, Any]:
    """Return the same for a session whose row must exist. Raise :class:`Violation` if it does not."""
    try:
        return await stored(context, session)
    except LookupError:
        pass
    raise Violation(f"the store has no row of {session.session_id!r}", should="hold one")
