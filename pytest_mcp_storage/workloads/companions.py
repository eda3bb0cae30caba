"""Several calls at once, some of which are cancelled: the others must return as usual (CA-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import read_all
from pytest_mcp_storage.oracle.history import assert_linearizable
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.attempts import Attempt, attempt
from pytest_mcp_storage.workloads.callers import STORE_WIDE, VALUES, Action, contested, has_failed, steps
from pytest_mcp_storage.workloads.cancellation import Ending, interrupted, place
from reference_backends import SessionData

COMPANY = 5
"""How many calls are made at once."""
OWN_SESSION = ("create_session", "remove_session")
"""Methods whose concurrent calls need a session each."""


async def assert_does_not_harm_its_company(
    context: TestContext,
    store: RecordingBackend,
    session: SessionData,
    method: str,
    which: int,
    at: int,
    *,
    answered: bool,
) -> None:
    """Start several calls of one method together and cancel number ``which``: the others must get their results."""
    calls = list(_alike(session, method))
    for one in calls if method in OWN_SESSION else calls[:1]:
        await one.prepare(store)
    if method == "get_identity_sessions_data":
        calls += [attempt("get_session", session, {})] * 2
    after = place(f"one of {len(calls)} concurrent calls of {method}", at, answered)
    endings = await asyncio.gather(
        *(
            interrupted(context, after, partial(one.call, store), at if number == which else 0, answered=answered)
            for number, one in enumerate(calls)
        )
    )
    for number, (one, ending) in enumerate(zip(calls, endings, strict=True)):
        if number != which:
            _assert_its_own(one, ending, after)


def _alike(session: SessionData, method: str) -> Iterator[Attempt]:
    """Return calls of the method that can all succeed at once: for one session, or for one each."""
    for number, field in zip(range(COMPANY), VALUES, strict=False):
        if method in OWN_SESSION:
            yield attempt(method, session.model_copy(update={"session_id": f"{session.session_id} {number}"}), {})
        else:
            yield attempt(method, session, {field: VALUES[field](f"call {number}")})


def _assert_its_own(one: Attempt, ending: Ending, after: str) -> None:
    if not ending.returned or one.wrong(ending.result):
        raise Violation(f"after {after} {one.method}, which nobody cancelled, {ending}", should="get its own answer")
    if ending.count or ending.stray:
        raise Violation(f"after {after} the caller of another call was cancelled", should="change nothing for others")


async def assert_stays_one_history(
    context: TestContext,
    stores: Sequence[RecordingBackend],
    session: SessionData,
    plans: Sequence[Sequence[Action]],
    cuts: Sequence[int],
) -> None:
    """Let callers carry out their plans; call number n is cancelled at suspension point ``cuts[n]``, or not if it is 0.

    Each call that was not cancelled must return its result, and some order of all calls must explain the results.
    """
    those = contested(session)
    await stores[0].create_session(session)
    turns = iter(cuts)

    async def carry_out(caller: RecordingBackend, plan: Sequence[Action]) -> None:
        for step in steps(plan, those, caller.name, without=() if context.store_is_ours else STORE_WIDE):
            if step.method == "pause":
                await asyncio.sleep(0)
                continue
            at = next(turns, 0)
            what = place(step.method, at, answered=False) if at else step.method
            ending = await interrupted(context, what, partial(getattr(caller, step.method), *step.arguments), at)
            if has_failed(ending.result) or (ending.cancelled and not at):
                raise Violation(
                    f"{step.method} next to cancelled calls {describe(ending.result)}", should="be answered"
                )

    callers = [stores[number % len(stores)].called(f"caller{number + 1}") for number in range(len(plans))]
    results = await asyncio.gather(*map(carry_out, callers, plans), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    for each in those:
        await read_all(context, callers[0], (each.identity, each.session_id))
    assert_linearizable(context.history.calls())
