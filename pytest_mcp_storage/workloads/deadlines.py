"""asyncio's own ways to cancel a call: a timeout that passes, and a task group one of whose tasks fails (CA-4)."""

from __future__ import annotations

import asyncio

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.suspensions import Interrupted
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.attempts import Attempt

SHOULD = "end with CancelledError, or with its result if it had been done"


class _Sibling(Exception):
    """The failure of the other task of a group."""


async def assert_ends_by_its_deadline(
    context: TestContext, store: RecordingBackend, one: Attempt, at: int, way: str
) -> None:
    """End the call at suspension point ``at`` by a timeout or a failing task group; its caller must continue."""
    end = _in_a_timeout if way == "a timeout" else _in_a_task_group
    task = asyncio.ensure_future(end(store, one, at))
    await asyncio.wait([task], timeout=context.harness.time_limit)
    where = f"{one.method} was ended by {way} at its suspension point {at}"
    context.cancelled_a_call(where)
    if not task.done():
        task.cancel()
        raise Violation(f"{where}, and did not end within {context.harness.time_limit:g} s", should=SHOULD)
    if task.cancelled():
        raise Violation(f"{where}, and the task that waited for it was cancelled", should=SHOULD)
    error = task.exception()
    if error is not None:
        raise Violation(f"{where}, and {describe(error)}", should=SHOULD)
    if found := task.result():
        raise Violation(f"{where}, and {found}", should=SHOULD)


async def _in_a_timeout(store: RecordingBackend, one: Attempt, at: int) -> str:
    """Return what was wrong, in words; empty if nothing was."""
    loop = asyncio.get_running_loop()
    found = ""
    try:
        async with asyncio.timeout(None) as deadline:
            stepped = Interrupted(one.call(store), at, lambda: deadline.reschedule(loop.time()))
            found = one.wrong(await stepped)
    except TimeoutError:
        if not deadline.expired():
            raise
    if not found and (count := _cancellations()):
        found = f"its caller's task still counts {count} cancellations"
    return found or await _later()


async def _in_a_task_group(store: RecordingBackend, one: Attempt, at: int) -> str:
    failing = asyncio.Event()
    found = ""

    async def fail() -> None:
        await failing.wait()
        raise _Sibling

    async def call() -> None:
        nonlocal found
        try:
            found = one.wrong(await Interrupted(one.call(store), at, failing.set))
        finally:
            failing.set()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(call())
    except* _Sibling:
        pass
    return found or await _later()


async def _later() -> str:
    """Return in words whether the caller's next awaits are cancelled."""
    try:
        for _ in range(3):
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        return "a later await of its caller was cancelled"
    return ""


def _cancellations() -> int:
    """Count the cancellations of the caller that nobody has taken back.

    Before Python 3.13 a task group may leave its own.
    """
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
