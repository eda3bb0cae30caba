"""Several processes on one store, and what must result (CO-5)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.faults.worker_client import Step, Worker
from pytest_mcp_storage.oracle.assertions import assert_shows, read_all
from pytest_mcp_storage.oracle.history import assert_linearizable, subject
from pytest_mcp_storage.oracle.timeline import timeline
from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.callers import ACTIONS, STORE_WIDE, VALUES, Action, all_at_once, has_failed, steps
from reference_backends import SessionData

PROCESSES = 3
CONTESTED = 12
"""How many sessions each of the processes tries to create."""
UPDATES = 8
ACTIONS_EACH = 25


@dataclass(frozen=True)
class Fixture:
    """The sessions of a round: ``contested`` ones that all create, one that all update, and two for any call."""

    contested: list[SessionData]
    shared: SessionData
    free: list[SessionData]

    @classmethod
    def of(cls, session: SessionData) -> Fixture:
        """Return a cast whose sessions are like this one."""

        def copy(name: str) -> SessionData:
            return session.model_copy(update={"session_id": f"{name}{session.session_id}"})

        return cls([copy(f"c{n}.") for n in range(CONTESTED)], copy("u."), [copy("a."), copy("b.")])


async def assert_holds_across_processes(context: TestContext, session: SessionData, number: int) -> None:
    """Check CO-1, CO-2 and CO-3 among processes.

    Each creates the same sessions, updates its field of a common one, and makes random calls about two more.
    ``number``: of the round; with the seed it decides these calls.
    """
    store, fixture = await context.store(), Fixture.of(session)
    earlier = len(context.history.calls())
    await store.create_session(fixture.shared)
    try:
        rng = random.Random(f"{context.seed} {number}")
        calls = await _work(
            context,
            _plans(fixture, rng, without=("clear", "pause") if context.store_is_ours else (*STORE_WIDE, "pause")),
        )
        _assert_has_one_winner(calls, fixture.contested)
        when = "after processes updated different fields"
        await assert_shows(
            context, store, [_updated(fixture.shared)], when=when, should="keep every acknowledged update"
        )
        for each in fixture.free:
            await read_all(context, store, (each.identity, each.session_id))
        assert_linearizable([*calls, *context.history.calls()[earlier:]])
    finally:
        with suppress(Exception):  # other processes don't know what these write
            for each in (fixture.shared, *fixture.free, *fixture.contested):
                await store.backend.remove_session(each.identity, each.session_id)


def _plans(fixture: Fixture, rng: random.Random, *, without: Sequence[str]) -> list[list[Step]]:
    plans = []
    for name, field in _processes():
        creates = [Step("create_session", (each.model_copy(update={"server_id": name}),)) for each in fixture.contested]
        whom = fixture.shared.identity, fixture.shared.session_id
        updates = [Step("update_session", (*whom, {field: VALUES[field](f"{name}.{n}")})) for n in range(UPDATES)]
        actions: list[Action] = [
            (rng.choice(ACTIONS), rng.randrange(2), rng.choice(list(VALUES))) for _ in range(ACTIONS_EACH)
        ]
        plans.append([*creates, *updates, *steps(actions, fixture.free, name, without=without)])
    return plans


def _updated(shared: SessionData) -> SessionData:
    """Return the common session with the last update of each process."""
    last = {field: VALUES[field](f"{name}.{UPDATES - 1}") for name, field in _processes()}
    return shared.model_copy(update=last)


def _processes() -> list[tuple[str, str]]:
    """Yield the name of each process, and the field that only it writes."""
    return [(f"process{place}", field) for place, field in enumerate(list(VALUES)[:PROCESSES], start=1)]


async def _work(context: TestContext, plans: Sequence[Sequence[Step]]) -> list[Call]:
    """Return the calls of processes that carry out the plans at once, in the order of their ends."""
    key = context.key if context.can(Capability.KEY) else None
    now = context.now() if context.can(Capability.CLOCK) else None
    workers = [
        Worker(context.harness, plan, name=name, encryption_key=key, now=now)
        for (name, _), plan in zip(_processes(), plans, strict=True)
    ]
    async with AsyncExitStack() as stack:
        await all_at_once([stack.enter_async_context(worker) for worker in workers])
        for worker in workers:
            worker.go()
        reported = await all_at_once([_calls_of(worker) for worker in workers])
    return sorted((call for calls in reported for call in calls), key=lambda call: call.end)


async def _calls_of(worker: Worker) -> list[Call]:
    calls = []
    async for call in worker:
        if has_failed(call.result):
            raise Violation(f"in a process of several {call.method} {describe(call.result)}", should="not raise that")
        calls.append(call)
    return calls


def _assert_has_one_winner(calls: Sequence[Call], contested: Sequence[SessionData]) -> None:
    creates = [call for call in calls if call.method == "create_session"]
    for session in contested:
        tries = [call for call in creates if subject(call) == (session.identity, session.session_id)]
        winners = [call for call in tries if call.result is None]
        if len(winners) != 1:
            raise Violation(
                f"{len(winners)} of {len(tries)} processes that created one session succeeded",
                should="let exactly one succeed, and refuse the others with SessionExistsError",
                history=timeline(tries, session.session_id),
            )
