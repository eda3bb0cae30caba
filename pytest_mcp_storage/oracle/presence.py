"""Whether a session is there, asked of every read at once."""

from __future__ import annotations

from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation
from pytest_mcp_storage.measuring.witness import Witness
from reference_backends import SessionData

JUST_BEFORE = 0.02
"""Seconds before its end at which a session must still be there."""


async def must_be_live(trial: Trial, store: Witness, session: SessionData, *, until: float) -> None:
    """Every read shows the session. Reads that ended after ``until`` (the trial's time) prove nothing."""
    seen = await shown_by(store, session, everywhere=trial.store_is_ours)
    if trial.now() < until and (missing := [method for method, shown in seen.items() if not shown]):
        left = until - trial.now()
        raise Violation(
            f"{' and '.join(missing)} did not show the session {round(left, 3):.12g} s before its end", should="show it"
        )


async def must_be_gone(store: Witness, session: SessionData, *, why: str) -> None:
    """No read shows the session."""
    _must_not_show(await shown_by(store, session), why)


async def must_be_absent(store: Witness, session: SessionData, *, why: str) -> None:
    """No read of its identity shows the session; its id may be another's, so all ids are not asked."""
    _must_not_show(await shown_by(store, session, everywhere=False), why)


def _must_not_show(seen: dict[str, bool], why: str) -> None:
    if found := [method for method, shown in seen.items() if shown]:
        raise Violation(f"{' and '.join(found)} showed the session", should=f"not: {why}")


async def shown_by(store: Witness, session: SessionData, *, everywhere: bool = True) -> dict[str, bool]:
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
