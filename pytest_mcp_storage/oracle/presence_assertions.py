"""Whether a session is there, asked of every read at once."""

from __future__ import annotations

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from reference_backends import SessionData

JUST_BEFORE = 0.02
"""Seconds before its end at which a session must still be there."""


async def assert_live(context: TestContext, store: RecordingBackend, session: SessionData, *, until: float) -> None:
    """Every read shows the session. Reads that ended after ``until`` (the context's time) prove nothing."""
    seen = await shown_by(store, session, everywhere=context.store_is_ours)
    if context.now() < until and (missing := [method for method, shown in seen.items() if not shown]):
        left = until - context.now()
        raise Violation(
            f"{' and '.join(missing)} did not show the session {round(left, 3):.12g} s before its end", should="show it"
        )


async def assert_gone(store: RecordingBackend, session: SessionData, *, why: str) -> None:
    """No read shows the session."""
    _assert_does_not_show(await shown_by(store, session), why)


async def assert_absent(store: RecordingBackend, session: SessionData, *, why: str) -> None:
    """No read of its identity shows the session; its id may be another's, so all ids are not asked."""
    _assert_does_not_show(await shown_by(store, session, everywhere=False), why)


def _assert_does_not_show(seen: dict[str, bool], why: str) -> None:
    if found := [method for method, shown in seen.items() if shown]:
        raise Violation(f"{' and '.join(found)} showed the session", should=f"not: {why}")


async def shown_by(store: RecordingBackend, session: SessionData, *, everywhere: bool = True) -> dict[str, bool]:
    """By the name of each read, whether it shows the session. ``everywhere``: ``get_all_session_ids`` is asked too."""
    name = session.identity, session.session_id
    listed = [each.session_id for each in await store.get_identity_sessions_data(session.identity)]
    shown = {
        "get_session": await store.get_session(*name) is not None,
        "get_identity_sessions_data": session.session_id in listed,
        "get_identity_mcp_sessions": session.session_id in await store.get_identity_mcp_sessions(session.identity),
    }
    if everywhere:
        shown["get_all_session_ids"] = session.session_id in await store.get_all_session_ids()
    return shown
