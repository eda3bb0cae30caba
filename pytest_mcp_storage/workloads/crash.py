"""A process that is killed while it works, and what must be left of its work (DU-2, DU-3)."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.faults.worker_client import Step, Worker
from pytest_mcp_storage.oracle.assertions import read_all
from pytest_mcp_storage.oracle.history import assert_linearizable
from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import BackendHarness, NotMeasurable
from pytest_mcp_storage.workloads.callers import VALUES, has_failed
from reference_backends import SessionData

STEPS = 400
"""Calls in a plan: more than a worker makes before it is killed."""

LATEST_KILL = 60
"""A worker is killed after this many calls at the latest."""

LARGE = "x" * 64 * 1024

ATTEMPTS = 3
"""How often a worker may finish its plan before the kill."""


def creates_and_removals(sessions: Sequence[SessionData], rng: random.Random) -> list[Step]:
    """Return creates, updates and removals of these sessions; every value is written once."""
    plan = []
    for place in range(STEPS):
        session = rng.choice(sessions)
        kind = rng.choice(["create", "update", "update", "update", "remove"])
        if kind == "create":
            plan.append(Step("create_session", (session.model_copy(update={"server_id": f"n{place}"}),)))
        elif kind == "update":
            plan.append(_update(session, rng, f"n{place}"))
        else:
            plan.append(Step("remove_session", (session.identity, session.session_id)))
    return plan


def large_updates(sessions: Sequence[SessionData], rng: random.Random) -> list[Step]:
    """Return updates of these sessions, every tenth of 64 KiB; every value is written once."""
    plan = []
    for place in range(STEPS):
        session = rng.choice(sessions)
        if place % 10:
            plan.append(_update(session, rng, f"n{place}"))
        else:
            tokens = {"access_token": f"n{place}", "id_token": LARGE}
            plan.append(Step("update_session", (session.identity, session.session_id, {"tokens": tokens})))
    return plan


async def assert_survives_a_kill(
    context: TestContext, harness: BackendHarness, sessions: Sequence[SessionData], plan: Sequence[Step],
    rng: random.Random, *, callers: int,
) -> None:  # fmt: skip
    """Create the sessions, let a process carry out the plan, kill it, and open the store again.

    What every read returns must be explained by all acknowledged calls, with or without those that were running.
    """
    before = len(context.history.calls())
    store = await _open(context, harness)
    for session in sessions:
        await store.create_session(session)
    await store.disconnect()
    calls = await _killed_at_work(context, harness, plan, rng, callers)
    store = await _open(context, harness)
    try:
        for session in sessions:
            await read_all(context, store, (session.identity, session.session_id))
        assert_linearizable([*context.history.calls()[before:], *calls])
    except Violation as violation:
        raise Violation(
            f"after the process that wrote was killed: {violation.seen}",
            should="show every acknowledged write, and of a write that was cut off the old session or the new one",
            history=violation.history,
        ) from None
    finally:
        with suppress(Exception):
            for session in sessions:
                await store.backend.remove_session(session.identity, session.session_id)
            await store.backend.disconnect()


def _update(session: SessionData, rng: random.Random, mark: str) -> Step:
    field = rng.choice(list(VALUES))
    return Step("update_session", (session.identity, session.session_id, {field: VALUES[field](mark)}))


async def _open(context: TestContext, harness: BackendHarness) -> RecordingBackend:
    return await context.open(*context.usual_keys, harness=harness)


async def _killed_at_work(
    context: TestContext, harness: BackendHarness, plan: Sequence[Step], rng: random.Random, callers: int
) -> list[Call]:
    """Return the calls of a process that was killed: acknowledged ones, and those that may have been running.

    A process that ended before the kill is followed by another one; its calls are part of what must be left.
    """
    key = context.key if context.can(Capability.KEY) else None
    now = context.now() if context.can(Capability.CLOCK) else None
    earlier: list[Call] = []
    for _ in range(ATTEMPTS):
        async with Worker(harness, plan, name="process", encryption_key=key, now=now, callers=callers) as worker:
            begun = time.monotonic_ns()
            worker.go()
            with _killing_when_empty(_main_file(harness), worker.kill):
                acknowledged = await _until_killed(worker, rng.randrange(LATEST_KILL), rng.random())
            if len(acknowledged) < len(plan):
                since = acknowledged[-1].end if acknowledged and callers == 1 else begun
                running = [replace(call, start=since) for call in worker.unacknowledged()]
                return [*earlier, *acknowledged, *running]
            earlier += acknowledged
    raise NotMeasurable(f"a process did {len(plan)} calls before it could be killed, {ATTEMPTS} times")


async def _until_killed(worker: Worker, count: int, share: float) -> list[Call]:
    """Kill the worker after ``count`` calls and a ``share`` of the time that two more take."""
    acknowledged: list[Call] = []
    started = time.monotonic()
    killing = asyncio.get_running_loop().call_later(0.05 * share, worker.kill) if count == 0 else None
    async for call in worker:
        if has_failed(call.result):
            raise Violation(
                f"in a process that is killed later {call.method} {describe(call.result)}", should="not raise"
            )
        acknowledged.append(call)
        if len(acknowledged) == count:
            each = (time.monotonic() - started) / count
            killing = asyncio.get_running_loop().call_later(2 * each * share, worker.kill)
    if killing is not None:
        killing.cancel()
    return acknowledged


def _main_file(harness: BackendHarness) -> Path | None:
    """Return the file that holds the store, if it is in one."""
    files = harness.files() if Capability.FILES in harness.capabilities else ()
    return files[0] if files and files[0].is_file() and files[0].stat().st_size else None


@contextmanager
def _killing_when_empty(path: Path | None, kill: Callable[[], None]) -> Iterator[None]:
    """Kill at the first moment at which the file is empty or missing: then it is being written in place."""
    over = threading.Event()

    def look(path: Path) -> None:
        while not over.is_set():
            try:
                whole = os.stat(path).st_size > 0
            except FileNotFoundError:
                whole = False
            if not whole:
                kill()
                return

    if path is None:
        yield
        return
    watcher = threading.Thread(target=look, args=(path,))
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
