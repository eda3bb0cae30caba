"""Assertions about what every read of a handle returns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.spec.comparison import difference
from reference_backends import SessionData

JUST_BEFORE = 0.02
"""Seconds before its end at which a session must still exist."""


@dataclass(frozen=True)
class ReadResults:
    """A session as each of the four reads returns it. ``all_ids`` is ``None`` if that read was left out."""

    got: SessionData | None
    listed: list[SessionData]
    ids: int
    all_ids: int | None

    def differs(self, expected: SessionData | None) -> str:
        """Return which read differs, and how, in words; empty if all four agree with ``expected``."""
        if expected is None:
            return self._shown_though_gone()
        if found := difference(self.got, expected):
            return f"get_session returned {found}"
        if len(self.listed) != 1:
            return f"get_identity_sessions_data listed it {_times(len(self.listed))}"
        if found := difference(self.listed[0], expected):
            return f"get_identity_sessions_data returned {found}"
        return self._counted_wrongly()

    def _shown_though_gone(self) -> str:
        shown = {
            "get_session": self.got is not None,
            "get_identity_sessions_data": bool(self.listed),
            "get_identity_mcp_sessions": bool(self.ids),
            "get_all_session_ids": bool(self.all_ids),
        }
        found = " and ".join(method for method, there in shown.items() if there)
        return found and f"{found} returned a session that should not exist"

    def _counted_wrongly(self) -> str:
        for method, count in (("get_identity_mcp_sessions", self.ids), ("get_all_session_ids", self.all_ids)):
            if count not in (1, None):
                return f"{method} listed it {_times(count)}"
        return ""


async def read_all(context: TestContext, store: RecordingBackend, name: SessionKey) -> ReadResults:
    """Call each read; list all ids only if the store is ours, since there may be a million others.

    Session ids must differ between identities.
    """
    identity, session_id = name
    got = await store.get_session(identity, session_id)
    listed = await store.get_identity_sessions_data(identity)
    ids = await store.get_identity_mcp_sessions(identity)
    all_ids = await store.get_all_session_ids() if context.store_is_ours else None
    mine = [each for each in listed if each.session_id == session_id]
    return ReadResults(got, mine, ids.count(session_id), None if all_ids is None else all_ids.count(session_id))


async def assert_shows(
    context: TestContext,
    store: RecordingBackend,
    live: Iterable[SessionData] = (),
    gone: Iterable[SessionData] = (),
    *,
    when: str,
    should: str,
) -> None:
    """Assert that each read returns the live sessions, whole and once, and none of the others.

    ``when``: the beginning of the sentence that says what was observed: "after a new open". Raise :class:`Violation` if
    a read differs.
    """
    expected = [(session, session) for session in live] + [(session, None) for session in gone]
    for session, state in expected:
        seen = await read_all(context, store, (session.identity, session.session_id))
        if found := seen.differs(state):
            raise Violation(f"{when} {found}", should=should)


def _times(count: int | None) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count or 0, f"{count} times")


async def assert_live(context: TestContext, store: RecordingBackend, session: SessionData, *, until: float) -> None:
    """Assert that every read returns the session; reads that end after ``until`` (context time) don't count."""
    seen = await shown_by(store, session, everywhere=context.store_is_ours)
    if context.now() < until and (missing := [method for method, shown in seen.items() if not shown]):
        left = until - context.now()
        raise Violation(
            f"{' and '.join(missing)} did not return the session {round(left, 3):.12g} s before its end",
            should="return it",
        )


async def assert_gone(store: RecordingBackend, session: SessionData, *, why: str) -> None:
    """Assert that no read returns the session."""
    _assert_does_not_show(await shown_by(store, session), why)


async def assert_absent(store: RecordingBackend, session: SessionData, *, why: str) -> None:
    """Assert that no read of its identity returns the session.

    Another identity may use its id, so all ids are not read.
    """
    _assert_does_not_show(await shown_by(store, session, everywhere=False), why)


def _assert_does_not_show(seen: dict[str, bool], why: str) -> None:
    if found := [method for method, shown in seen.items() if shown]:
        raise Violation(f"{' and '.join(found)} returned the session", should=f"not return it: {why}")


def ids_of(listed: Iterable[object]) -> list[Any]:
    """Return the session ids in what a listing returned, sessions or ids; what is neither, as it is."""
    return [each.session_id if isinstance(each, SessionData) else each for each in listed]


async def shown_by(store: RecordingBackend, session: SessionData, *, everywhere: bool = True) -> dict[str, bool]:
    """Say for each read, by name, whether it returns the session. ``everywhere``: also for ``get_all_session_ids``."""
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
