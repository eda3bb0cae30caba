"""RE · resources: what a handle has taken it gives back, and a crowd of callers shares."""

from __future__ import annotations

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.resources import taken
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.attempts import attempt
from pytest_mcp_storage.workloads.callers import at_once
from pytest_mcp_storage.workloads.cancellation import handles_of_its_own
from pytest_mcp_storage.workloads.leftovers import (
    FEWEST,
    answered,
    assert_does_not_grow,
    assert_nothing,
    cancelled_calls,
    failing_calls,
    left_since,
    opened_and_closed,
    own_temporary_folder,
    say_what_is_not_seen,
    use,
)
from reference_backends import SessionData

CALLERS = 200
MOST_CONNECTIONS = 150


@clause_test("RE-1", at_most=1, session=sessions())
async def test_a_disconnected_handle_leaves_nothing(context: TestContext, session: SessionData) -> None:
    """The first handles of a process may leave what it has once: they are not counted."""
    say_what_is_not_seen(context)
    async with own_temporary_folder():
        async with context.another_store() as harness:
            await opened_and_closed(context, harness, session, 1)
        before = taken()
        async with context.another_store() as harness:
            closed = await opened_and_closed(context, harness, session, FEWEST, init_again=True)
            if context.can(Capability.FILES):
                files = {file.name for file in harness.files()}
                closed += await opened_and_closed(context, harness, session, FEWEST)
                _assert_leaves_no_file({file.name for file in harness.files()} - files)
        left = await left_since(context, before, FEWEST)
    assert_nothing(left, after=f"{len(closed)} handles were disconnected", should="leave nothing of a handle")


@clause_test("RE-2", at_most=1, session=sessions())
async def test_opening_and_closing_lets_nothing_grow(context: TestContext, session: SessionData) -> None:
    say_what_is_not_seen(context)
    should = "leave nothing behind"
    async with own_temporary_folder(), handles_of_its_own(context) as (store,):

        async def again(number: int) -> None:
            await store.init()
            await use(store, session)
            await store.disconnect()

        await assert_does_not_grow(
            context, "times of disconnect and init", 30 * context.tier.faults, again, should=should
        )


@clause_test("RE-2", at_most=1, session=sessions())
async def test_failing_calls_let_nothing_grow(context: TestContext, session: SessionData) -> None:
    say_what_is_not_seen(context)
    async with own_temporary_folder(), handles_of_its_own(context) as (store,):
        await failing_calls(context, store, session, 150 * context.tier.faults)


@clause_test("RE-2", at_most=1, session=sessions())
async def test_cancelled_calls_let_nothing_grow(context: TestContext, session: SessionData) -> None:
    say_what_is_not_seen(context)
    async with own_temporary_folder(), handles_of_its_own(context) as (store,):
        await store.create_session(session)
        await cancelled_calls(context, store, session, 90 * context.tier.faults)


@clause_test("RE-3", at_most=1, session=sessions())
async def test_a_crowd_is_answered_over_few_connections(context: TestContext, session: SessionData) -> None:
    say_what_is_not_seen(context)
    methods = ("get_session", "update_session", "get_identity_mcp_sessions")
    async with handles_of_its_own(context) as (store,):
        await store.create_session(session)
        for method in methods:
            one = attempt(method, session, {"server_name": session.server_name or "it"})
            concurrent = at_once([one.call(store) for _ in range(CALLERS)])
            results, most = await answered(context, concurrent, f"{CALLERS} concurrent calls of {method}")
            for got in results:
                if isinstance(got, Exception):
                    raise Violation(
                        f"of {CALLERS} concurrent calls one of {method} {describe(got)}", should="answer all"
                    )
            if most > MOST_CONNECTIONS:
                raise Violation(f"{CALLERS} concurrent calls took {most} connections", should="share a bounded number")


def _assert_leaves_no_file(left: set[str]) -> None:
    if len(left) >= FEWEST:
        names = ", ".join(sorted(left)[:3])
        raise Violation(f"after {FEWEST} handles were disconnected {len(left)} more files were there: {names}",
                        should="leave nothing of a handle")  # fmt: skip
