"""What a store does while it can't be reached or its responses are lost, and afterwards (FA-1 to FA-3)."""

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
from pytest_mcp_storage.oracle.assertions import ReadResults, read_all
from pytest_mcp_storage.spec.describe import describe
from reference_backends import SessionData, StorageError, StorageUnavailableError

PAUSE = 0.02
"""Seconds between two checks whether the store is back."""
NO_ANSWER = StorageUnavailableError, Overdue
"""Outcomes of a call that the store did not answer."""

Calls = Mapping[str, Callable[[], Awaitable[Any]]]
"""Calls by the name of their method."""


def every_call(context: TestContext, store: RecordingBackend, session: SessionData, changes: Any) -> Calls:
    """Return a call of each method that needs the store; store-wide ones only if the store is ours."""
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
    """Return calls that a store may try to skip: for names that it never met, and a renewal."""
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
    """Return what the call returned or raised; :class:`Overdue` if the harness's time limit passed first."""
    try:
        return await timeouts.in_time("the call", lambda: outcome_of(call()), limit=context.harness.time_limit)
    except Overdue as overdue:
        return overdue


async def assert_unavailable(context: TestContext, method: str, call: Callable[[], Awaitable[Any]]) -> None:
    """Assert that the call raises :class:`StorageUnavailableError` within the time limit. Raise :class:`Violation`."""
    got = await in_time(context, call)
    if isinstance(got, StorageUnavailableError):
        return
    limit = f"{context.harness.time_limit:g} s"
    seen = f"did not return within {limit}" if isinstance(got, Overdue) else describe(got)
    raise Violation(
        f"while the store could not be reached {method} {seen}",
        should=f"raise StorageUnavailableError within {limit}",
    )


async def assert_works(context: TestContext, method: str, call: Callable[[], Awaitable[Any]]) -> None:
    """Assert that the call returns within the time limit, now that the store is back. Raise :class:`Violation`."""
    got = await in_time(context, call)
    if isinstance(got, Exception):
        seen = "did not return in time" if isinstance(got, Overdue) else describe(got)
        raise Violation(f"on the same handle after an outage {method} {seen}", should="work as before")


async def first_answer(context: TestContext, call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat the call until it gets an answer, for as long as the time limit. Return its last outcome."""
    started = time.monotonic()
    while True:
        got = await in_time(context, call)
        if not isinstance(got, NO_ANSWER):
            return got
        if time.monotonic() - started > context.harness.time_limit:
            return got
        await asyncio.sleep(PAUSE)


async def back(context: TestContext, store: RecordingBackend, session: SessionData) -> None:
    """Wait until the handle works again. Raise :class:`Violation` if it does not within the time limit."""
    got = await first_answer(context, lambda: store.get_session(session.identity, session.session_id))
    if isinstance(got, NO_ANSWER):
        seen = "did not return" if isinstance(got, Overdue) else describe(got)
        raise Violation(
            f"{context.harness.time_limit:g} s after the store was back get_session {seen}",
            should="answer: the same handle works again",
        )
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
    """Return the name of the allowed state that all reads agree on.

    A request that arrived may still be running, so a handle is read again until the time limit has passed. Raise
    :class:`Violation` if the reads never agree on one of the states.
    """
    started = time.monotonic()
    while True:
        seen: ReadResults = await read_all(context, store, (session.identity, session.session_id))
        differences = {name: seen.differs(state) for name, state in allowed.items()}
        for name, found in differences.items():
            if not found:
                return name
        if time.monotonic() - started > context.harness.time_limit:
            found = " and ".join(f"it is not {name}: {found}" for name, found in differences.items())
            raise Violation(f"after {after} {found}", should=f"be completely {' or completely '.join(allowed)}")
        await asyncio.sleep(PAUSE)


class Loss:
    """One turn in which a response is lost: from the start of a call, or from a moment in the middle of it."""

    def __init__(self, context: TestContext, number: int, share: float) -> None:
        self.context = context
        self.number = number
        self.share = share

    async def unanswered(self, store: RecordingBackend, session: SessionData, method: str, *arguments: Any) -> Any:
        """Return the outcome of the call, once the handle works again.

        Raise :class:`Violation` for an untyped error.
        """
        got = await self.ask(store, session, method, *arguments)
        _assert_typed(method, got)
        return got

    async def ask(self, store: RecordingBackend, session: SessionData, method: str, *arguments: Any) -> Any:
        """Return the same for a store that is not judged."""
        usual = self._usual_duration(method)
        losing = self.context.harness.lost_answer()
        call = in_time(self.context, lambda: getattr(store, method)(*arguments))
        if self.number == 0:
            async with losing:
                got = await call
        else:
            task = asyncio.ensure_future(call)
            await _wait_without_answer(usual * self.share)
            async with losing:
                got = await task
        await back(self.context, store, session)
        return got

    def _usual_duration(self, method: str) -> float:
        """Return the seconds that the last such call took; if there was none, the last of any."""
        answered = [call for call in self.context.history.calls() if call.end]
        alike = [call for call in answered if call.method == method] or answered
        return (alike[-1].end - alike[-1].start) / 1e9 if alike else 0.0


def losses(context: TestContext, count: int | None = None) -> Iterator[Loss]:
    """Yield this many turns, or those of the tier: the first from the start of the call, others from a moment on.

    A call of several requests is half done only if the response of a later one is lost.
    """
    rng = random.Random(f"{context.seed} {context.identity('')}")
    for number in range(count or 1 + 3 * context.tier.faults):
        yield Loss(context, number, rng.uniform(0, 1.1))


async def _wait_without_answer(seconds: float) -> None:
    """Let others run for this long, at a finer resolution than the loop's timers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:  # noqa: ASYNC110 - nothing sets an event: the moment is what counts
        await asyncio.sleep(0)


def _assert_typed(method: str, got: object) -> None:
    """Assert that a call without a response fails with a :class:`StorageError`, if it fails.

    Raise :class:`Violation`.
    """
    if isinstance(got, Overdue):
        raise Violation(f"{method} whose answer was lost did not return in time", should="raise StorageError in time")
    if isinstance(got, Exception) and not isinstance(got, StorageError):
        raise Violation(f"{method} whose answer was lost {describe(got)}", should="raise StorageUnavailableError")
