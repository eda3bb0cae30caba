"""Calls of which one request fails: the first, the second, and so on (FA-5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.timeouts import Overdue
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import assert_gone, assert_live, ids_of
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import NotMeasurable
from pytest_mcp_storage.workloads.attempts import Attempt, attempt
from pytest_mcp_storage.workloads.cancellation import assert_one_of
from pytest_mcp_storage.workloads.outages import back, in_time
from reference_backends import SessionData, StorageUnavailableError

HOWS = ("refused", "lost", "late", "conflict")
MOST_REQUESTS = {"smoke": 3, "standard": 5}
"""Requests of a call that are made to fail, one after the other; at ``deep`` more."""
MOST = 8
NOT_CALLED = object()
BEFORE, AFTER = 60.0, 600.0
"""Seconds: the TTL that a session has before the call, and the one that the call asks for."""


async def fail_each_step(context: TestContext, session: SessionData, method: str, how: str) -> None:
    """Let each request of a call fail, on a new session each time. Raises :class:`Violation`."""
    store = await context.store()
    neighbour = session.model_copy(update={"session_id": f"{session.session_id} neighbour"})
    await store.create_session(neighbour)
    for k in range(1, MOST_REQUESTS.get(context.tier.name, MOST) + 1):
        each = session.model_copy(update={"session_id": f"{session.session_id} {k}"})
        tried = attempt(method, each, {"server_name": f"changed by request {k}"}, AFTER)
        await tried.prepare(store, BEFORE)
        what = f"{method}, of which request {k} was {how},"
        got = await _failing(context, k, how, lambda tried=tried: tried.call(store))  # type: ignore[misc]
        if got is NOT_CALLED:
            return
        _check_answer(tried, what, got)
        await back(context, store, neighbour)
        returned = not isinstance(got, Exception)
        state = await assert_one_of(context, [store], tried, returned=returned, after=what)
        if method != "clear_all":
            seen = await store.get_session(neighbour.identity, neighbour.session_id)
            if found := difference(seen, neighbour):
                raise Violation(f"after {what} get_session of another session returned {found}", should="return it")
        await _check_expiry(context, store, tried, what, state, returned=returned)
        await store.remove_session(each.identity, each.session_id)
        if method == "clear_all" and returned:
            await store.create_session(neighbour)
    return


async def fail_each_request(
    context: TestContext, store: RecordingBackend, session: SessionData, call: Callable[[], Awaitable[object]], how: str
) -> list[object]:
    """Return what the call answered or raised when its first request failed, its second, and so on.

    ``session``: a name that is read until the store answers again.
    """
    answers: list[object] = []
    for k in range(1, MOST_REQUESTS.get(context.tier.name, MOST) + 1):
        got = await _failing(context, k, how, call)
        if got is NOT_CALLED:
            break
        answers.append(got)
        await back(context, store, session)
    return answers


async def _failing(context: TestContext, k: int, how: str, call: Callable[[], Awaitable[object]]) -> object:
    """Return the outcome of the call whose k-th request fails; ``NOT_CALLED`` if the harness can't make that fault."""
    context.history.note(f"… request {k} of the next call is {how} …")
    try:
        async with context.harness.fail_request(k, how):  # type: ignore[arg-type]
            return await in_time(context, call)
    except NotMeasurable as error:
        if how != "conflict":  # the one that only a store's own protocol can answer
            raise
        context.leave_out(f"requests that meet a conflict: {error.reason}")
        return NOT_CALLED


def _check_answer(tried: Attempt, what: str, got: object) -> None:
    if isinstance(got, Exception) and not isinstance(got, StorageUnavailableError):
        seen = "did not return in time" if isinstance(got, Overdue) else describe(got)
        raise Violation(f"{what} {seen}", should="raise StorageUnavailableError, or succeed")
    if not isinstance(got, Exception) and (found := _wrong(tried, got)):
        raise Violation(f"{what} {found}", should="return what is stored, or raise StorageUnavailableError")


def _wrong(tried: Attempt, got: object) -> str:
    """Say what is wrong with a result; the listings hold the neighbour too."""
    if not isinstance(got, list):
        return tried.wrong(got)
    return "" if ids_of(got).count(tried.session.session_id) == 1 else describe(got)


async def _check_expiry(
    context: TestContext, store: RecordingBackend, tried: Attempt, what: str, state: str, *, returned: bool
) -> None:
    """Let the TTLs pass: the session ends when it must, and not before."""
    if not context.can(Capability.CLOCK):
        return context.leave_out("the expiry after a request that failed (needs CLOCK)")
    if tried.method not in ("create_session", "update_session", "renewal"):
        return None
    certain = tried.before is not tried.after
    renewed = returned or (certain and state == "as after")
    expected = tried.after if renewed else tried.before
    until = context.now() + AFTER
    await context.pass_time(BEFORE + ROUNDING)
    if renewed and expected is not None:
        await assert_live(context, store, expected, until=until - BEFORE)
    elif certain:
        await assert_gone(store, tried.session, why=f"{what} was not done, and the TTL before it has passed")
    await context.pass_time(AFTER)
    return await assert_gone(store, tried.session, why=f"after {what} its TTL of {AFTER:g} s has passed")
