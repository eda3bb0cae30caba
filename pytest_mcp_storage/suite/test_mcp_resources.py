"""RE · resources: what a handle has taken it gives back, and a crowd of callers shares."""

from __future__ import annotations

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.resources import taken
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation, told
from pytest_mcp_storage.oracle.strategies import sessions
from pytest_mcp_storage.ordeals.attempts import attempt
from pytest_mcp_storage.ordeals.callers import at_once
from pytest_mcp_storage.ordeals.cancellation import handles_of_its_own
from pytest_mcp_storage.ordeals.leftovers import (
    FEWEST,
    answered,
    cancelled_calls,
    failing_calls,
    left_since,
    must_be_nothing,
    must_not_grow,
    opened_and_closed,
    own_temporary_folder,
    say_what_is_not_seen,
    use,
)
from reference_backends import SessionData

CALLERS = 200
MOST_CONNECTIONS = 150


@measures("RE-1", at_most=1, session=sessions())
async def test_a_disconnected_handle_leaves_nothing(trial: Trial, session: SessionData) -> None:
    """The first handles of a process may leave what it has once: they are not counted."""
    say_what_is_not_seen(trial)
    async with own_temporary_folder():
        async with trial.another_store() as harness:
            await opened_and_closed(trial, harness, session, 1)
        before = taken()
        async with trial.another_store() as harness:
            closed = await opened_and_closed(trial, harness, session, FEWEST, init_again=True)
            if trial.can(Capability.FILES):
                files = {file.name for file in harness.files()}
                closed += await opened_and_closed(trial, harness, session, FEWEST)
                _must_leave_no_file({file.name for file in harness.files()} - files)
        left = await left_since(trial, before, FEWEST)
    must_be_nothing(left, after=f"{len(closed)} handles were disconnected", should="leave nothing of a handle")


@measures("RE-2", at_most=1, session=sessions())
async def test_opening_and_closing_lets_nothing_grow(trial: Trial, session: SessionData) -> None:
    say_what_is_not_seen(trial)
    should = "leave nothing behind"
    async with own_temporary_folder(), handles_of_its_own(trial) as (store,):

        async def again(number: int) -> None:
            await store.init()
            await use(store, session)
            await store.disconnect()

        await must_not_grow(trial, "times of disconnect and init", 30 * trial.tier.faults, again, should=should)


@measures("RE-2", at_most=1, session=sessions())
async def test_failing_calls_let_nothing_grow(trial: Trial, session: SessionData) -> None:
    say_what_is_not_seen(trial)
    async with own_temporary_folder(), handles_of_its_own(trial) as (store,):
        await failing_calls(trial, store, session, 150 * trial.tier.faults)


@measures("RE-2", at_most=1, session=sessions())
async def test_cancelled_calls_let_nothing_grow(trial: Trial, session: SessionData) -> None:
    say_what_is_not_seen(trial)
    async with own_temporary_folder(), handles_of_its_own(trial) as (store,):
        await store.create_session(session)
        await cancelled_calls(trial, store, session, 90 * trial.tier.faults)


@measures("RE-3", at_most=1, session=sessions())
async def test_a_crowd_is_answered_over_few_connections(trial: Trial, session: SessionData) -> None:
    say_what_is_not_seen(trial)
    methods = ("get_session", "update_session", "get_identity_mcp_sessions")
    async with handles_of_its_own(trial) as (store,):
        await store.create_session(session)
        for method in methods:
            one = attempt(method, session, {"server_name": session.server_name or "it"})
            crowd = at_once([one.call(store) for _ in range(CALLERS)])
            results, most = await answered(trial, crowd, f"{CALLERS} concurrent calls of {method}")
            for got in results:
                if isinstance(got, Exception):
                    raise Violation(f"of {CALLERS} concurrent calls one of {method} {told(got)}", should="answer all")
            if most > MOST_CONNECTIONS:
                raise Violation(f"{CALLERS} concurrent calls took {most} connections", should="share a bounded number")


def _must_leave_no_file(left: set[str]) -> None:
    if len(left) >= FEWEST:
        names = ", ".join(sorted(left)[:3])
        raise Violation(f"after {FEWEST} handles were disconnected {len(left)} more files were there: {names}",
                        should="leave nothing of a handle")  # fmt: skip
