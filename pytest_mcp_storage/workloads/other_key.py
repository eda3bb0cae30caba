"""Sessions that the usual handle has no key for."""

from __future__ import annotations

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.spec.capabilities import Capability
from reference_backends import SessionData


async def sessions_of_another_key(context: TestContext, session: SessionData) -> list[SessionData]:
    """Create a session that the usual handle has no key for. Return none if that can't be arranged."""
    if not (context.can(Capability.KEY) and context.one_store):
        context.leave_out("a session that can't be decrypted (needs KEY, and SHARED or DURABLE)")
        return []
    sealed = session.model_copy(update=FILLED)
    await (await context.holder(context.other_key)).create_session(sealed)
    return [sealed]
