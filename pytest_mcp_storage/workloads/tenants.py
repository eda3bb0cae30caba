"""Several identities at once; each uses only its own sessions and so knows every result (CO-7)."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.callers import all_at_once
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError

ACTS = (
    "get",
    "get",
    "listing",
    "listing",
    "ids",
    "ids",
    "unknown",
    "update",
    "renew",
    "again",
    "late",
    "new",
    "remove",
)
"""A tenant's next action. ``again``: create what exists; ``late``: update what does not."""


def plans() -> st.SearchStrategy[list[list[str]]]:
    """Return what each of some tenants does."""
    return st.lists(st.lists(st.sampled_from(ACTS), min_size=6, max_size=14), min_size=2, max_size=6)


class Tenant:
    """One identity, and its sessions."""

    def __init__(self, context: TestContext, store: RecordingBackend, session: SessionData, number: int) -> None:
        self.store = store.called(f"tenant{number}")
        self.identity = context.identity(f"tenant {number}")
        self.unknown = context.session_id(f"unknown {number}")
        self._session = session.model_copy(update={"identity": self.identity})
        self._prefix = f"{session.session_id} {number}"
        self._count = 0
        self._mine: dict[str, SessionData] = {}

    async def carry_out(self, plan: Sequence[str]) -> None:
        """Carry out the plan. Raise :class:`Violation` for a result that is not this tenant's."""
        await self._new()
        for act in plan:
            await getattr(self, f"_{act}")()

    async def _new(self) -> None:
        self._count += 1
        mark = f"{self._prefix}.{self._count}"
        new = self._session.model_copy(update={"session_id": mark, "tokens": {"access_token": mark}})
        self._assert_answer(await outcome_of(self.store.create_session(new)), None, "create_session")
        self._mine[mark] = new

    async def _get(self) -> None:
        for session in list(self._mine.values())[-1:]:
            got = await outcome_of(self.store.get_session(self.identity, session.session_id))
            if not isinstance(got, SessionData) or difference(got, session):
                raise self._wrong("get_session", got)

    async def _listing(self) -> None:
        got = await outcome_of(self.store.get_identity_sessions_data(self.identity))
        if not isinstance(got, list) or len(got) != len(self._mine):
            raise self._wrong("get_identity_sessions_data", got)
        for each in got:
            if each.session_id not in self._mine or difference(each, self._mine[each.session_id]):
                raise self._wrong("get_identity_sessions_data", got)

    async def _ids(self) -> None:
        got = await outcome_of(self.store.get_identity_mcp_sessions(self.identity))
        if not isinstance(got, list) or sorted(got) != sorted(self._mine):
            raise self._wrong("get_identity_mcp_sessions", got)

    async def _unknown(self) -> None:
        self._assert_answer(await outcome_of(self.store.get_session(self.identity, self.unknown)), None, "get_session")

    async def _update(self) -> None:
        self._count += 1
        for session_id in list(self._mine)[-1:]:
            changes = {"server_name": f"{self._prefix} {self._count}"}
            got = await outcome_of(self.store.update_session(self.identity, session_id, changes))
            self._assert_answer(got, None, "update_session")
            self._mine[session_id] = self._mine[session_id].model_copy(update=changes)

    async def _renew(self) -> None:
        for session_id in list(self._mine)[:1]:
            self._assert_answer(
                await outcome_of(self.store.update_session(self.identity, session_id, {})), None, "a renewal"
            )

    async def _again(self) -> None:
        for session in list(self._mine.values())[:1]:
            got = await outcome_of(self.store.create_session(session))
            if not isinstance(got, SessionExistsError):
                raise self._wrong("creating a live session again", got)

    async def _late(self) -> None:
        got = await outcome_of(self.store.update_session(self.identity, self.unknown, {"server_name": "late"}))
        if not isinstance(got, SessionNotFoundError):
            raise self._wrong("update_session of an unknown id", got)

    async def _remove(self) -> None:
        for session_id in list(self._mine)[1:2]:
            del self._mine[session_id]
            self._assert_answer(
                await outcome_of(self.store.remove_session(self.identity, session_id)), None, "remove_session"
            )

    def _assert_answer(self, got: object, expected: object, method: str) -> None:
        if got != expected:
            raise self._wrong(method, got)

    def _wrong(self, method: str, got: object) -> Violation:
        return Violation(
            f"while other identities were in use, {method} for identity {self.identity!r} {describe(got)}",
            should="answer for that identity, as if it were alone",
        )


async def assert_answers_each_for_itself(
    context: TestContext, stores: Sequence[RecordingBackend], session: SessionData, plans: Sequence[Sequence[str]]
) -> None:
    """Let each tenant carry out its plan, all at once, on the handles in turn. Raise :class:`Violation`."""
    tenants = [Tenant(context, stores[number % len(stores)], session, number) for number in range(len(plans))]
    await all_at_once([tenant.carry_out(plan) for tenant, plan in zip(tenants, plans, strict=True)])
