"""Whether a session is there, asked of every read at once."""

from __future__ import annotations

from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation
from pytest_mcp_storage.measuring.witness import Witness
from reference_backends import SessionData


async def must_be_live(trial: Trial, store: Witness, session: SessionData, *, until: float) -> None:
    """Every read shows the session. Reads that ended after ``until`` (the trial's time) prove nothing."""
    seen = await _shown_by(store, session)
    if trial.now() < until and (missing := [method for method, shown in seen.items() if not shown]):
        left = until - trial.now()
        raise Violation(f"{' and '.join(missing)} did not show the session {left:g} s before its end", should="show it")


async def must_be_gone(store: Witness, session: SessionData, *, why: str, everywhere: bool = True) -> None:
    """No read shows the session; not ``everywhere``: its id may be another's by now, so all ids are not asked."""
    seen = await _shown_by(store, session)
    if everywhere:
        seen["get_all_session_ids"] = session.session_id in await store.get_all_session_ids()
    if found := [method for method, shown in seen.items() if shown]:
        raise Violation(f"{' and '.join(found)} showed the session", should=f"not: {why}")


async def _shown_by(store: Witness, session: SessionData) -> dict[str, bool]:
    name = session.identity, session.session_id
    listed = [each.session_id for each in await store.get_identity_sessions_data(session.identity)]
    return {
        "get_session": await store.get_session(*name) is not None,
        "get_identity_sessions_data": session.session_id in listed,
        "get_identity_mcp_sessions": session.session_id in await store.get_identity_mcp_sessions(session.identity),
    }
