"""What must result when callers meet on one session: through one handle or several (CO-1, CO-2, CO-3, CO-5)."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import assert_shows, read_all
from pytest_mcp_storage.oracle.history import assert_linearizable
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.oracle.timeline import timeline
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.workloads.callers import (
    STORE_WIDE,
    VALUES,
    Action,
    all_at_once,
    at_once,
    carry_out,
    contested,
    steps,
)
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError


async def assert_lets_one_create_succeed(
    context: TestContext, callers: Sequence[RecordingBackend], session: SessionData
) -> None:
    """Let each caller create the session at once: one must succeed, and its session must be the stored one."""
    variants = [session.model_copy(update={"server_id": caller.name}) for caller in callers]
    work = [caller.create_session(variant) for caller, variant in zip(callers, variants, strict=True)]
    winners = []
    for variant, got in zip(variants, await at_once(work), strict=True):
        if got is None:
            winners.append(variant)
        elif not isinstance(got, SessionExistsError):
            raise got
    if len(winners) != 1:
        raise Violation(
            f"{len(winners)} of {len(callers)} concurrent creates of one session succeeded",
            should="let exactly one succeed, and refuse the others with SessionExistsError",
            history=timeline(context.history.calls(), session.session_id),
        )
    await assert_shows(
        context, callers[0], winners, when="after it", should="show the session of the create that succeeded"
    )


async def let_expire(context: TestContext, store: RecordingBackend, session: SessionData) -> bool:
    """Create the session and let its TTL pass, so that the next create meets an expired row.

    Return whether it has expired, judged by a second session: a read of this one might delete it.
    """
    ttl = context.ttl(1)
    other = session.model_copy(update={"session_id": context.session_id("another")})
    for each in (session, other):
        await store.create_session(each, ttl)
    await context.pass_time(ttl + ROUNDING)
    if await store.get_session(other.identity, other.session_id) is None:
        return True
    context.leave_out("creates over an expired session: the store shows those, which is for EX-2 to say")
    return False


async def assert_keeps_every_create(
    context: TestContext, harness: BackendHarness, session: SessionData, count: int
) -> None:
    """Create this many different sessions at once: all must exist, also after a new open of a durable store.

    Their sizes differ, so that a shorter text written over a longer one shows.
    """
    store = await context.open(*context.usual_keys, harness=harness)
    many = [
        session.model_copy(update={"session_id": f"{session.session_id}.{n}", "code_verifier": "v" * 40 * (n % 7)})
        for n in range(count)
    ]
    await all_at_once([store.create_session(each) for each in many])
    should = "show every session whose create succeeded"
    await assert_shows(context, store, many, when=f"after {count} creates at once", should=should)
    await store.disconnect()
    if context.can(Capability.DURABLE):
        store = await context.open(*context.usual_keys, harness=harness)
        await assert_shows(context, store, many, when=f"after {count} creates at once and a new open", should=should)
        for each in many:
            await store.remove_session(each.identity, each.session_id)
        await store.disconnect()


async def assert_keeps_every_update(
    context: TestContext,
    callers: Sequence[RecordingBackend],
    session: SessionData,
    *,
    times: int,
    during_create: bool = False,
    ttl: float | None = None,
    renewing: bool = False,
) -> None:
    """Let each caller update a separate field, this many times: every acknowledged update must be there at the end.

    ``during_create``: the session is created at the same time; updates that come too early are refused. ``ttl``: of
    each update; ``renewing``: after each comes another that names no field.
    """
    creator, *updaters = callers
    if not during_create:
        await creator.create_session(session)
    fields = list(VALUES)[: len(updaters)]
    work = [_update(each, session, field, times, ttl, renewing) for each, field in zip(updaters, fields, strict=False)]
    await all_at_once([creator.create_session(session), *work] if during_create else work)
    expected = session
    for call in context.history.calls():
        if call.method == "update_session" and call.result is None:
            expected = expected.model_copy(update=call.arguments[2])
    seen = await read_all(context, creator, (session.identity, session.session_id))
    if found := seen.differs(expected):
        concurrent = "a create and updates" if during_create else "updates"
        raise Violation(
            f"after {concurrent} of different fields at once {found}",
            should="keep every update that was acknowledged",
            history=timeline(context.history.calls(), session.session_id),
        )


async def assert_lets_removal_win(
    context: TestContext,
    callers: Sequence[RecordingBackend],
    session: SessionData,
    *,
    ttl: float | None = None,
    renewing: bool = False,
) -> None:
    """Assert that the session is gone after the last caller has removed it while the others update it.

    ``ttl``: of each update; ``renewing``: after each comes another that names no field.
    """
    *updaters, remover = callers
    await remover.create_session(session)
    work = [_update(each, session, field, 2, ttl, renewing) for each, field in zip(updaters, VALUES, strict=False)]
    await all_at_once([*work, remover.remove_session(session.identity, session.session_id)])
    if found := (await read_all(context, remover, (session.identity, session.session_id))).differs(None):
        raise Violation(
            f"after a removal next to updates {found}",
            should="be gone: no update may bring a removed session back",
            history=timeline(context.history.calls(), session.session_id),
        )


async def assert_clears_whole_sessions(
    context: TestContext, callers: Sequence[RecordingBackend], session: SessionData
) -> None:
    """Let the last caller clear the store while the others create sessions: all reads must agree about each session."""
    *creators, clearer = callers
    many = [session.model_copy(update={"session_id": f"{session.session_id}.{n}"}) for n in range(len(creators))]
    await clearer.create_session(session)
    creates = [creator.create_session(each) for creator, each in zip(creators, many, strict=True)]
    await all_at_once([*creates, clearer.clear_all()])
    for each in many:
        seen = await read_all(context, clearer, (each.identity, each.session_id))
        if (found := seen.differs(each)) and seen.differs(None):
            raise Violation(
                f"after creates next to a clear_all {found}, and another read shows it",
                should="be there whole, or not at all",
                history=timeline(context.history.calls(), each.session_id),
            )


async def assert_one_history(
    context: TestContext, callers: Sequence[RecordingBackend], session: SessionData, plans: Sequence[Sequence[Action]]
) -> None:
    """Assert that some order explains what the callers see of their plans.

    The plans work on two sessions of one identity, one of them there from the start, and on one of another identity.
    """
    those = contested(session)
    await callers[0].create_session(session)
    calls = [
        steps(plan, those, caller.name, without=() if context.store_is_ours else STORE_WIDE)
        for caller, plan in zip(callers, plans, strict=True)
    ]
    await carry_out(callers, calls)
    for each in those:
        await read_all(context, callers[0], (each.identity, each.session_id))
    assert_linearizable(context.history.calls())


def named(handles: Sequence[RecordingBackend], count: int) -> list[RecordingBackend]:
    """Return this many callers, who take the handles in turn."""
    return [handles[place % len(handles)].called(f"caller{place + 1}") for place in range(count)]


async def _update(
    caller: RecordingBackend, session: SessionData, field: str, times: int, ttl: float | None, renewing: bool
) -> None:
    for time in range(times):
        mark = f"{caller.name}.{time}"
        try:
            await caller.update_session(session.identity, session.session_id, {field: VALUES[field](mark)}, ttl)
            if renewing:
                await caller.update_session(session.identity, session.session_id, {}, ttl)
        except SessionNotFoundError:
            continue
