"""What a store answers while it can't be reached, or while its answers get lost, and once it is back (FA-1 to FA-3)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from pytest_mcp_storage.engine import timeouts
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.timeouts import Overdue
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.assertions import View, view
from pytest_mcp_storage.spec.describe import told
from reference_backends import SessionData, StorageError, StorageUnavailableError

PAUSE = 0.02
"""Seconds between two questions whether the store is back."""

Calls = Mapping[str, Callable[[], Awaitable[Any]]]
"""Calls by the name of their method."""


def every_call(context: TestContext, store: RecordingBackend, session: SessionData, changes: Any) -> Calls:
    """A call of each method that needs the store; of the store-wide ones only where the store is ours."""
    name = session.identity, session.session_id
    new = session.model_copy(update={"session_id": f"{session.session_id} new"})
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "get_session": lambda: store.get_session(*name),
        "create_session": lambda: store.create_session(new),
        "update_session": lambda: store.update_session(*name, changes),
        "get_identity_sessions_data": lambda: store.get_identity_sessions_data(session.identity),
        "get_identity_mcp_sessions": lambda: store.get_identity_mcp_sessions(session.identity),
        "remove_session": lambda: store.remove_session(*name),
        "get_all_session_ids": store.get_all_session_ids,
        "init": store.init,
    }
    if context.store_is_ours:
        calls |= {"clear_all": store.clear_all, "cleanup_expired_sessions": store.cleanup_expired_sessions}
    else:
        context.leave_out("clear_all and cleanup_expired_sessions: the store may hold others' data")
    return calls


def needless_calls(context: TestContext, store: RecordingBackend, session: SessionData) -> Calls:
    """Calls that a store may believe to need no answer of its server: of names that it never met, and a renewal."""
    identity, session_id = context.identity("unknown"), context.session_id("unknown")
    return {
        "update_session, of no field,": lambda: store.update_session(session.identity, session.session_id, {}),
        "get_session of an unknown id": lambda: store.get_session(session.identity, session_id),
        "update_session of an unknown id": lambda: store.update_session(session.identity, session_id, {}),
        "remove_session of an unknown id": lambda: store.remove_session(session.identity, session_id),
        "get_identity_sessions_data of an unknown identity": lambda: store.get_identity_sessions_data(identity),
        "get_identity_mcp_sessions of an unknown identity": lambda: store.get_identity_mcp_sessions(identity),
    }


async def in_time(context: TestContext, call: Callable[[], Awaitable[Any]]) -> Any:
    """What the call returned or raised; :class:`Overdue` where the harness's time limit passed first."""
    try:
        return await timeouts.in_time("the call", lambda: outcome_of(call()), limit=context.harness.time_limit)
    except Overdue as overdue:
        return overdue


async def assert_unavailable(context: TestContext, method: str, call: Callable[[], Awaitable[Any]]) -> None:
    """The call raises :class:`StorageUnavailableError` within the time limit. Raises :class:`Violation`."""
    got = await in_time(context, call)
    if isinstance(got, StorageUnavailableError):
        return
    limit = f"{context.harness.time_limit:g} s"
    seen = f"did not return within {limit}" if isinstance(got, Overdue) else told(got)
    raise Violation(
        f"while the store could not be reached {method} {seen}",
        should=f"raise StorageUnavailableError within {limit}",
    )


async def assert_works(context: TestContext, method: str, call: Callable[[], Awaitable[Any]]) -> None:
    """The call returns, within the time limit, now that the store is back. Raises :class:`Violation`."""
    got = await in_time(context, call)
    if isinstance(got, Exception):
        seen = "did not return in time" if isinstance(got, Overdue) else told(got)
        raise Violation(f"on the same handle after an outage {method} {seen}", should="work as before")


async def back(context: TestContext, store: RecordingBackend, session: SessionData) -> None:
    """Wait until the handle answers again. Raises :class:`Violation` where it does not within the time limit."""
    started = time.monotonic()
    while True:
        got = await in_time(context, lambda: store.get_session(session.identity, session.session_id))
        if not isinstance(got, (StorageUnavailableError, Overdue)):
            break
        if time.monotonic() - started > context.harness.time_limit:
            seen = "did not return" if isinstance(got, Overdue) else told(got)
            raise Violation(
                f"{context.harness.time_limit:g} s after the store was back get_session {seen}",
                should="answer: the same handle works again",
            )
        await asyncio.sleep(PAUSE)
    if isinstance(got, Exception):
        raise got


async def assert_whole(
    context: TestContext,
    store: RecordingBackend,
    session: SessionData,
    allowed: Mapping[str, SessionData | None],
    *,
    after: str,
) -> str:
    """Which of the allowed states all reads agree on, by its name.

    A request that arrived may still be under way, so a handle is asked again for as long as the time limit. Raises
    :class:`Violation` where the reads never agree on one of them.
    """
    started = time.monotonic()
    while True:
        seen: View = await view(context, store, (session.identity, session.session_id))
        differences = {name: seen.differs(state) for name, state in allowed.items()}
        for name, found in differences.items():
            if not found:
                return name
        if time.monotonic() - started > context.harness.time_limit:
            found = " and ".join(f"it is not {name}: {found}" for name, found in differences.items())
            raise Violation(f"after {after} {found}", should=f"be wholly {' or wholly '.join(allowed)}")
        await asyncio.sleep(PAUSE)


class Loss:
    """One turn in which an answer gets lost: from the start of a call, or from a moment in the middle of it."""

    def __init__(self, context: TestContext, number: int, share: float) -> None:
        self.context = context
        self.number = number
        self.share = share

    async def unanswered(self, store: RecordingBackend, session: SessionData, method: str, *arguments: Any) -> Any:
        """What came of the call, once the handle answers again. Raises :class:`Violation` for an untyped error."""
        got = await self.ask(store, session, method, *arguments)
        _assert_typed(method, got)
        return got

    async def ask(self, store: RecordingBackend, session: SessionData, method: str, *arguments: Any) -> Any:
        """The same of a store that is not judged."""
        usual = self._usual_duration(method)
        losing = self.context.harness.lost_answer()
        call = in_time(self.context, lambda: getattr(store, method)(*arguments))
        if self.number == 0:
            async with losing:
                got = await call
        else:
            task = asyncio.ensure_future(call)
            await _linger(usual * self.share)
            async with losing:
                got = await task
        await back(self.context, store, session)
        return got

    def _usual_duration(self, method: str) -> float:
        """Seconds that the last such call took; where there was none, the last of any."""
        answered = [call for call in self.context.history.calls() if call.end]
        alike = [call for call in answered if call.method == method] or answered
        return (alike[-1].end - alike[-1].start) / 1e9 if alike else 0.0


def losses(context: TestContext, count: int | None = None) -> Iterator[Loss]:
    """So many turns, or those that the tier asks for: the first from the start of the call, others from a moment on.

    A call of several requests is half done only where a later one of them gets lost.
    """
    rng = random.Random(f"{context.seed} {context.identity('')}")
    for number in range(count or 1 + 3 * context.tier.faults):
        yield Loss(context, number, rng.uniform(0, 1.1))


async def _linger(seconds: float) -> None:
    """Let others run for so long, to a finer grain than the loop's timers have."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:  # noqa: ASYNC110 - nothing sets an event: the moment is what counts
        await asyncio.sleep(0)


def _assert_typed(method: str, got: object) -> None:
    """A call without an answer fails with a :class:`StorageError`, if it fails. Raises :class:`Violation`."""
    if isinstance(got, Overdue):
        raise Violation(f"{method} whose answer was lost did not return in time", should="raise StorageError in time")
    if isinstance(got, Exception) and not isinstance(got, StorageError):
        raise Violation(f"{method} whose answer was lost {told(got)}", should="raise StorageUnavailableError")
