"""What handles and failed or cancelled calls leave in the process (RE-1, RE-2), and what many calls take (RE-3).

What the harness owns is not the store's. So a store is provisioned for the purpose, and the process is inspected after
its harness has destroyed the store too, while the closed handles are still referenced.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.resources import DESCRIPTORS, Resources, connections, sockets, taken
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.workloads.attempts import attempt
from pytest_mcp_storage.workloads.callers import all_at_once
from pytest_mcp_storage.workloads.cancellation import interrupted, suspensions
from reference_backends import SessionData

PAUSE = 0.02
"""Seconds between two looks: what has been closed may take a moment to end."""
FEWEST = 4
"""This many things left are no accident."""
SAMPLE = 0.01
"""Seconds between two looks at how many connections there are."""


@asynccontextmanager
async def own_temporary_folder() -> AsyncIterator[None]:
    """Let the process create its temporary files in a new folder, so that others' are not counted."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="mcp-storage-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


async def use(store: RecordingBackend, session: SessionData) -> None:
    """Use a handle as most are used, with concurrent calls too, and leave no session behind."""
    name = session.identity, session.session_id
    await store.create_session(session)
    await all_at_once([store.get_session(*name), store.get_identity_sessions_data(session.identity)])
    await store.update_session(*name, {"server_name": "used"})
    await store.remove_session(*name)


async def opened_and_closed(
    context: TestContext, harness: BackendHarness, session: SessionData, count: int, *, init_again: bool = False
) -> list[RecordingBackend]:
    """Open, use and disconnect handles one after another."""
    closed = []
    for _ in range(count):
        store = await context.open(*context.usual_keys, harness=harness)
        await use(store, session)
        if init_again:
            await store.init()
            await store.disconnect()
            await store.init()
            await use(store, session)
        await store.disconnect()
        closed.append(store)
    return closed


async def left_since(context: TestContext, before: Resources, least: int) -> Mapping[str, list[str]]:
    """Return the kinds of which this many more exist than before, once the time limit has passed or there is none."""
    loop = asyncio.get_running_loop()
    end = loop.time() + min(context.harness.time_limit, 5)
    while True:
        beyond = {kind: names for kind, names in taken().beyond(before).items() if len(names) >= least}
        if not beyond or loop.time() > end:
            return beyond
        await asyncio.sleep(PAUSE)


def assert_nothing(left: Mapping[str, list[str]], *, after: str, should: str) -> None:
    """Raise :class:`Violation` if something is left."""
    for kind, names in left.items():
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise Violation(f"after {after} {len(names)} {kind} were left: {shown}", should=should)


def say_what_is_not_seen(context: TestContext) -> None:
    """Note what can't be counted on this system."""
    if not DESCRIPTORS.is_dir():
        context.leave_out("sockets, descriptors and child processes: this system has no /proc")


async def assert_does_not_grow(
    context: TestContext, what: str, count: int, once: Callable[[int], Awaitable[object]], *, should: str
) -> None:
    """Do it this many times: after the first third nothing may grow with the number."""
    first = count // 3
    for number in range(first):
        await once(number)
    await asyncio.sleep(PAUSE)
    before = taken()
    for number in range(first, count):
        await once(number)
    left = await left_since(context, before, max(FEWEST, (count - first) // 6))
    assert_nothing(left, after=f"{count - first} {what}", should=should)


async def failing_calls(context: TestContext, store: RecordingBackend, session: SessionData, count: int) -> None:
    """Make calls that fail, each in another way; they must leave nothing behind."""
    name = session.identity, session.session_id
    unknown = context.session_id("unknown")
    ways: list[Callable[[], Awaitable[object]]] = [
        lambda: store.create_session(session),
        lambda: store.update_session(name[0], unknown, {"server_name": "it"}),
        lambda: store.update_session(*name, {"identity": "another"}),
        lambda: store.create_session(session, -1),
        lambda: store.get_session("", name[1]),
    ]

    async def fail(number: int) -> None:
        with suppress(Exception):
            await ways[number % len(ways)]()

    await store.create_session(session)
    should = "leave nothing behind"
    await assert_does_not_grow(context, "failing calls", count, fail, should=should)
    if context.can(Capability.OUTAGE):
        async with context.harness.outage():
            await assert_does_not_grow(context, "calls in an outage", max(15, count // 10), fail, should=should)


async def cancelled_calls(context: TestContext, store: RecordingBackend, session: SessionData, count: int) -> None:
    """Make calls that are cancelled, at one suspension point after another; they must leave nothing behind."""
    methods = ("get_session", "update_session", "get_identity_sessions_data")
    attempts = [attempt(method, session, {"server_name": "it"}) for method in methods]
    points = [await suspensions(each.call(store)) for each in attempts]

    async def cancel(number: int) -> None:
        which = number % len(attempts)
        at = 1 + (number // len(attempts)) % points[which]
        await interrupted(context, "one of many calls was cancelled", lambda: attempts[which].call(store), at)

    if all(points):
        await assert_does_not_grow(context, "cancelled calls", count, cancel, should="leave nothing behind")


async def answered(context: TestContext, work: Awaitable[list[object]], what: str) -> tuple[list[object], int]:
    """Return the results of the calls, and the highest number of connections to one peer meanwhile.

    Raise :class:`Violation` if they do not all return within the time limit.
    """
    before = sockets()
    loop = asyncio.get_running_loop()
    end = loop.time() + context.harness.time_limit
    task = asyncio.ensure_future(work)
    most = 0
    while not task.done():
        if loop.time() > end:
            task.cancel()
            limit = f"{context.harness.time_limit:g} s"
            raise Violation(f"{what} did not all return within {limit}", should="answer all")
        most = max(most, connections(sockets() - before))
        await asyncio.wait([task], timeout=SAMPLE)
    return await task, most
