"""CO, LC, EX · contention: what is left after calls at once, of every method and every field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import assert_gone, assert_live, assert_shows, read_all, shown_by
from pytest_mcp_storage.oracle.edge_cases import EDGE_CASES, EMPTY, FILLED
from pytest_mcp_storage.oracle.generators import ABSENT, OPTIONAL_FIELDS, sessions
from pytest_mcp_storage.oracle.history import subject
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.oracle.timeline import timeline
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.workloads.callers import all_at_once, at_once, has_failed
from reference_backends import SessionData

REVOKED = dict.fromkeys(OPTIONAL_FIELDS)
ROUNDS = 3
TTLS = (60, 3_600, None)


def copies(context: TestContext, session: SessionData, count: int, *, of: str = "") -> list[SessionData]:
    """Return this many sessions like ``session``, every third one of another identity."""
    owners = session.identity, session.identity, context.identity("another")
    return [
        session.model_copy(update={"identity": owners[n % 3], "session_id": context.session_id(f"{of}{n}")})
        for n in range(count)
    ]


def _calls_on(context: TestContext, session: SessionData) -> list[str]:
    """Return the timeline of the calls on one session."""
    name = session.identity, session.session_id
    return timeline([call for call in context.history.calls() if subject(call) == name], session.session_id)


def raise_failures(results: Sequence[object]) -> None:
    """Raise the first result that is an exception and no refusal."""
    for got in results:
        if isinstance(got, Exception) and has_failed(got):
            raise got


@clause_test("CO-2", at_most=4, session=sessions(), ttl=every(None, 9_000), handles=every(1, 2))
async def test_updates_of_every_field_at_once_are_all_kept(
    context: TestContext, session: SessionData, ttl: float | None, handles: int
) -> None:
    """Update all fields of a session at once, one a call: each pair of fields meets."""
    stores = await context.handles(handles if context.can(Capability.SHARED) else 1)
    for number in range(ROUNDS):
        changes = ({**FILLED, "server_name": "new"}, EMPTY, {**FILLED, **REVOKED})
        before = EMPTY if number == 0 else FILLED
        family = copies(context, session.model_copy(update=before), len(changes), of=f"{number}.")
        for each in family:
            await stores[0].create_session(each)
        work = [
            stores[place % len(stores)].update_session(each.identity, each.session_id, {field: value}, ttl)
            for each, named in zip(family, changes, strict=True)
            for place, (field, value) in enumerate(named.items())
        ]
        await all_at_once(work)
        for each, named in zip(family, changes, strict=True):
            seen = await read_all(context, stores[0], (each.identity, each.session_id))
            if found := seen.differs(each.model_copy(update=named)):
                raise Violation(
                    f"after updates of every field at once {found}",
                    should="keep every update",
                    history=_calls_on(context, each),
                )


def _writes(store: RecordingBackend, session: SessionData) -> list[Any]:
    """Return updates of every kind, not yet begun."""
    name = session.identity, session.session_id
    secrets = {"tokens": {"access_token": "late"}, "headers": None}
    return [
        store.update_session(*name, changes, ttl)
        for changes in ({"server_name": "late"}, secrets, {})
        for ttl in (None, 9_000)
    ]


@clause_test("LC-10", at_most=2, session=sessions(), handles=every(1, 2))
async def test_no_concurrent_update_undoes_clear_all(context: TestContext, session: SessionData, handles: int) -> None:
    stores = await context.handles(handles if context.can(Capability.SHARED) else 1)
    for number in range(ROUNDS):
        family = copies(context, session, 3, of=f"{number}.")
        for each in family:
            await stores[0].create_session(each)
        work = [call for each in family for call in _writes(stores[-1], each)]
        place = (0, len(work) // 2, len(work))[number]
        raise_failures(await at_once([*work[:place], stores[0].clear_all(), *work[place:]]))
        should = "show nothing: no update brings a session back"
        await assert_shows(context, stores[0], gone=family, when="after clear_all and updates at once", should=should)


@clause_test("EX-3", at_most=2, waits=True, session=sessions(), handles=every(1, 2))
async def test_no_concurrent_call_revives_an_expired_session(
    context: TestContext, session: SessionData, handles: int
) -> None:
    stores = await context.handles(handles if context.can(Capability.SHARED) else 1)
    ttl = context.ttl(60)
    family = copies(context, session, 3)
    for each in family:
        await stores[0].create_session(each, ttl)
    await context.pass_time(ttl + ROUNDING)
    work = [call for each in family for call in _writes(stores[-1], each)]
    if context.store_is_ours:
        work.insert(len(work) // 2, stores[0].cleanup_expired_sessions())
    raise_failures(await at_once(work))
    should = "show nothing: its TTL had passed before the calls began"
    await assert_shows(context, stores[0], gone=family, when="after updates and a cleanup at once", should=should)


@clause_test("EX-5", at_most=2, session=sessions(), handles=every(1, 2))
async def test_cleanup_agrees_with_reads_after_renewals_at_once(
    context: TestContext, session: SessionData, handles: int
) -> None:
    """Renew sessions with different TTLs at once: reads decide which end each has, and cleanup must follow."""
    if not context.can(Capability.CLOCK):
        return context.leave_out("renewals at once, and cleanup after some of them have ended (needs CLOCK)")
    stores = await context.handles(handles if context.can(Capability.SHARED) else 1)
    family = copies(context, session, 6)
    for each in family:
        await stores[0].create_session(each, 600)
    work = [
        stores[(place + turn) % len(stores)].update_session(
            each.identity, each.session_id, {"server_name": f"{ttl}"} if turn % 2 else {}, ttl
        )
        for place, each in enumerate(family)
        for turn, ttl in enumerate((*TTLS, *TTLS[: place % 3]))
    ]
    await all_at_once(work)
    for seconds in (120, 600, 3_600):
        await context.pass_time(seconds)
        before = [await shown_by(stores[0], each) for each in family]
        await stores[-1].cleanup_expired_sessions()
        after = [await shown_by(stores[0], each) for each in family]
        for each, was, now in zip(family, before, after, strict=True):
            if was != now:
                raise Violation(
                    f"cleanup changed the reads of {each.session_id!r} from {was} to {now}, after renewals at once",
                    should="remove what no read shows, and nothing else",
                )
            if len(set(was.values())) > 1:
                raise Violation(f"reads disagree about {each.session_id!r}: {was}", should="agree on its end")
    return None


@clause_test("CO-2", at_most=4, session=sessions(), handles=every(1, 2))
async def test_calls_on_other_sessions_undo_no_update(context: TestContext, session: SessionData, handles: int) -> None:
    """Update a session while its neighbours are created, removed, read and cleaned up: everything is kept."""
    stores = await context.handles(handles if context.can(Capability.SHARED) else 1)
    first, second = stores[0], stores[-1]
    for number in range(ROUNDS):
        kept, removed, created, updated = copies(context, session.model_copy(update=FILLED), 4, of=f"n{number}.")
        for each in kept, removed, updated:
            await first.create_session(each)
        fields = {"server_name": "1", "tokens": {"t": "2"}, "active": None, "client_id": "4"}
        name = kept.identity, kept.session_id
        updates = [first.update_session(*name, {field: value}) for field, value in fields.items()]
        others: list[Any] = [
            second.remove_session(removed.identity, removed.session_id),
            second.create_session(created),
            second.update_session(updated.identity, updated.session_id, {"server_name": "other"}, 9_000),
            second.get_identity_sessions_data(kept.identity),
            second.get_session(*name),
        ]
        if context.store_is_ours:
            others.insert(number, second.cleanup_expired_sessions())
        await all_at_once([*updates[:number], *others, *updates[number:]])
        live = [kept.model_copy(update=fields), created, updated.model_copy(update={"server_name": "other"})]
        for each, expected in (*((each, each) for each in live), (removed, None)):
            if found := (await read_all(context, first, (each.identity, each.session_id))).differs(expected):
                raise Violation(
                    f"after calls on several sessions at once {found}",
                    should="keep what each call did",
                    history=_calls_on(context, each),
                )


@clause_test("EX-7", at_most=4, session=sessions(), handles=every(1, 2))
async def test_updates_at_once_set_the_ttl_that_all_ask_for(
    context: TestContext, session: SessionData, handles: int
) -> None:
    """Update sessions at once, all with the same TTL: whichever comes last, that TTL counts."""
    if not context.can(Capability.CLOCK):
        return context.leave_out("updates at once with one TTL (needs CLOCK)")
    stores = await context.handles(handles if context.can(Capability.SHARED) else 1)
    written_at = context.now()
    ends: dict[int, tuple[SessionData, float]] = {}
    for number, ttl in enumerate((60, None, 100_000)):
        each = session.model_copy(update={"session_id": context.session_id(f"{number}")})
        await stores[0].create_session(each, 600)
        changes: list[dict[str, Any]] = [{"server_name": "a"}, {}, {"tokens": {"t": "b"}}, {"active": None}, {}]
        name = each.identity, each.session_id
        await all_at_once([stores[n % len(stores)].update_session(*name, c, ttl) for n, c in enumerate(changes)])
        ends[number] = (each, context.default_ttl if ttl is None else ttl)
    for each, end in ends.values():
        await context.pass_time(written_at + end - 1 - context.now())
        await assert_live(context, stores[0], each, until=written_at + end)
        await context.pass_time(1 + ROUNDING)
        await assert_gone(stores[0], each, why=f"the TTL of {end} s that every update asked for has passed")
    return None


@clause_test("CO-2", at_most=4, session=sessions(), handles=every(1, 2))
async def test_removals_creates_and_renewals_at_once_leave_whole_sessions(
    context: TestContext, session: SessionData, handles: int
) -> None:
    """Remove, create and renew the same sessions at once: in the end each is there as one create wrote it, or gone."""
    stores = await context.handles(handles if context.can(Capability.SHARED) else 1)
    family = copies(context, session, 4)
    shapes = FILLED, EDGE_CASES, ABSENT
    for each in family:
        await stores[0].create_session(each.model_copy(update=FILLED))
    work: list[Any] = []
    for place, each in enumerate(family):
        name = each.identity, each.session_id
        store = stores[place % len(stores)]
        work += [
            store.remove_session(*name),
            *(stores[0].create_session(each.model_copy(update=shape)) for shape in shapes[1:]),
            store.update_session(*name, {}, 9_000),
            store.remove_session(*name),
            stores[-1].update_session(*name, {}),
        ]
    raise_failures(await at_once(work))
    for each in family:
        seen = await read_all(context, stores[0], (each.identity, each.session_id))
        candidates = [None, *(each.model_copy(update=shape) for shape in shapes)]
        if all(seen.differs(one) for one in candidates):
            raise Violation(
                f"after creates and removals at once {seen.differs(seen.got and candidates[1])}",
                should="be the session of one create in every read, or of none",
                history=_calls_on(context, each),
            )
