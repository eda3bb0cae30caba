"""Calls that are cancelled: at each of their suspension points, in each of asyncio's ways (CA-1 to CA-5)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.suspensions import Interrupted
from pytest_mcp_storage.engine.timeouts import Overdue
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import read_all
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads import outages
from pytest_mcp_storage.workloads.attempts import Attempt
from reference_backends import SessionData

Call = Callable[[], Awaitable[Any]]

LATER = 5
"""How often the caller waits again after its call has ended: none of these waits may be cancelled."""
PAUSE = 0.01
"""Seconds between two reads of a session that a cancelled call may still be changing."""


@dataclass(frozen=True)
class Ending:
    """How a call ended that may have been cancelled.

    ``reached``: whether it came to the moment of its cancellation. ``waited_again``: whether it then waited for
    something more. ``stray``: whether its caller was cancelled after it. ``count``: the caller's ``cancelling()``.
    """

    result: object
    reached: bool
    waited_again: bool
    stray: bool
    count: int

    @property
    def cancelled(self) -> bool:
        """Say whether it ended with ``CancelledError``."""
        return isinstance(self.result, asyncio.CancelledError)

    @property
    def returned(self) -> bool:
        """Say whether it ended with a result."""
        return not isinstance(self.result, BaseException)

    def __str__(self) -> str:
        return "was cancelled" if self.cancelled else describe(self.result)


def place(method: str, at: int, answered: bool) -> str:
    """Return when a call was cancelled, in words, as the end of "after …"."""
    when = "as it was about to go on from" if answered else "at"
    return f"{method} was cancelled {when} its suspension point {at}"


def moments(context: TestContext, count: int) -> list[int]:
    """Return the suspension points to cancel a call at, of ``count``: all, or as many as tier and store allow.

    The first and the last are always included; the others differ from example to example.
    """
    tier = context.tier
    most = max(4, round((2 + 4 * tier.faults) * (1 if tier.every_example else context.environment.pace)))
    if count <= most:
        return list(range(1, count + 1))
    between = random.Random(f"{context.seed} {context.number}").sample(range(2, count), most - 2)
    return [1, *sorted(between), count]


async def suspensions(call: Awaitable[Any]) -> int:
    """Return how often a call waits if nobody cancels it."""
    counted = Interrupted(call)
    await counted
    return counted.suspensions


async def interrupted(context: TestContext, what: str, call: Call, at: int, *, answered: bool = False) -> Ending:
    """Return how the call ended in a task that was cancelled at suspension point ``at``.

    Raise :class:`Violation` if it does not end within the time limit.
    """
    task = asyncio.ensure_future(_caller(call, at, answered))
    await asyncio.wait([task], timeout=context.harness.time_limit)
    if not task.done():
        task.cancel()
        limit = f"{context.harness.time_limit:g} s"
        raise Violation(f"{what} and did not end within {limit}", should="end with CancelledError, or with its result")
    ending = task.result()
    if ending.cancelled:
        context.cancelled_a_call(what)
    return ending


async def _caller(call: Call, at: int, answered: bool) -> Ending:
    task = asyncio.current_task()
    assert task is not None
    stepped = Interrupted(call(), at, task.cancel, answered=answered)
    result: object
    try:
        result = await stepped
    except Exception as error:
        result = error
    except asyncio.CancelledError as error:
        result = error.with_traceback(None)  # whose frames would keep what the store has dropped
    stray = False
    for _ in range(LATER):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            stray = True
    return Ending(result, stepped.reached, stepped.waited_again, stray, task.cancelling())


@asynccontextmanager
async def handles_of_its_own(context: TestContext, count: int = 1) -> AsyncIterator[list[RecordingBackend]]:
    """Open new handles for one example; they are not closed if a call on one of them has not returned."""
    opened = [await context.open(*context.usual_keys, name=f"handle{number + 1}") for number in range(count)]
    for each in opened:
        each.limit = 1.5 * context.harness.time_limit  # more than the limit for a call that is judged by its time
    try:
        yield opened
    except Violation:
        context.give_up(opened)
        raise
    for each in opened:
        await answer(context, "disconnect", each.disconnect, after="the example")


async def answer(context: TestContext, what: str, call: Call, *, after: str) -> Any:
    """Return the result of the call, or the exception that it raised.

    Raise :class:`Violation` if it does not end within the time limit, or ends as if it had been cancelled.
    """
    try:
        got = await outages.in_time(context, call)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Violation(
            f"after {after} {what} raised CancelledError, but nobody had cancelled it", should="answer"
        ) from None
    if isinstance(got, Overdue):
        limit = f"{context.harness.time_limit:g} s"
        raise Violation(f"after {after} {what} did not return within {limit}", should="answer") from None
    return got


async def assert_one_of(
    context: TestContext, stores: Iterable[RecordingBackend], attempt: Attempt, *, returned: bool, after: str
) -> str:
    """Return which of the attempt's states every read of each handle agrees on, or raise :class:`Violation`.

    A request that was sent may still be carried out, so a handle is read again until the time limit has passed.
    """
    allowed = attempt.done if returned else attempt.states
    loop, found = asyncio.get_running_loop(), ""
    end = loop.time() + context.harness.time_limit
    while True:
        agreed = set(allowed)
        for store in stores:
            seen = await _read_results(context, store, attempt.session, after)
            differences = {name: seen.differs(state) for name, state in allowed.items()}
            agreed &= {name for name, difference in differences.items() if not difference}
            found = found if agreed else f"{store.name}: {'; '.join(filter(None, differences.values()))}"
        if agreed:
            return next(iter(agreed))
        if loop.time() > end:
            how = "done" if returned else "completely done or not done"
            raise Violation(f"after {after} {found}", should=f"be {how}, and every read agree")
        found = ""
        await asyncio.sleep(PAUSE)


async def _read_results(context: TestContext, store: RecordingBackend, session: SessionData, after: str) -> Any:
    name = session.identity, session.session_id
    got = await answer(context, "a read", lambda: read_all(context, store, name), after=after)
    if isinstance(got, Exception):
        raise got
    return got
