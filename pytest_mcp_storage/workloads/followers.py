"""The calls after a cancelled one, each of which must get its own result (CA-2, CA-3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.cancellation import answer
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError

Check = Callable[[object], bool]
Follower = tuple[str, Callable[[], Awaitable[Any]], Check]
"""A description of the call, the call, and whether a result is its own."""

COUNT = 10
"""How many followers there are, so that a test can let each be the first."""


class Followers:
    """Calls about ``session``, which exists, and about unknown names. None is about the cancelled call's session."""

    def __init__(self, context: TestContext, session: SessionData, *, known: bool = True) -> None:
        self.context = context
        self.session = session
        self.known = known
        """Whether it is known that the session exists."""
        self._rounds = 0

    async def ask(self, store: RecordingBackend, first: int, *, after: str) -> None:
        """Make all calls, one after another, beginning with number ``first``. Raise :class:`Violation`."""
        self._rounds += 1
        followers = [*self._about_the_session(store), *self._about_nobody(store)] if self.known else [
            *self._about_nobody(store)
        ]  # fmt: skip
        first %= len(followers)
        for what, call, is_its_own in followers[first:] + followers[:first]:
            got = await answer(self.context, what, call, after=after)
            if not is_its_own(got):
                raise Violation(f"after {after} {what} {describe(got)}", should="get its own answer")

    def _about_the_session(self, store: RecordingBackend) -> list[Follower]:
        name = self.session.identity, self.session.session_id
        mark = f"round {self._rounds}"

        async def update() -> None:
            await store.update_session(*name, {"server_name": mark})
            self.session = self.session.model_copy(update={"server_name": mark})

        def is_listed(got: object) -> bool:
            return isinstance(got, list) and len(got) == 1 and self._is_it(got[0])

        return [
            ("get_session of another session", lambda: store.get_session(*name), self._is_it),
            ("a listing of another identity", lambda: store.get_identity_sessions_data(name[0]), is_listed),
            ("the ids of another identity", lambda: store.get_identity_mcp_sessions(name[0]), lambda got: got == [
                name[1]
            ]),
            ("update_session of another session", update, _is_nothing),
            (
                "creating a live session again",
                lambda: store.create_session(self.session),
                lambda got: isinstance(got, SessionExistsError),
            ),
        ]  # fmt: skip

    def _about_nobody(self, store: RecordingBackend) -> list[Follower]:
        identity, session_id = self.context.identity("nobody"), self.context.session_id(f"none {self._rounds}")
        new = self.session.model_copy(update={"identity": self.context.identity("new"), "session_id": session_id})
        return [
            ("get_session of an unknown id", lambda: store.get_session(identity, session_id), _is_nothing),
            ("a listing of an unknown identity", lambda: store.get_identity_sessions_data(identity), _is_empty),
            (
                "update_session of an unknown id",
                lambda: store.update_session(identity, session_id, {"server_name": "it"}),
                lambda got: isinstance(got, SessionNotFoundError),
            ),
            ("create_session of a new session", lambda: store.create_session(new), _is_nothing),
            ("remove_session of a session", lambda: store.remove_session(new.identity, session_id), _is_nothing),
        ]

    def _is_it(self, got: object) -> bool:
        return isinstance(got, SessionData) and not difference(got, self.session)


def _is_nothing(got: object) -> bool:
    return got is None


def _is_empty(got: object) -> bool:
    return got == []
