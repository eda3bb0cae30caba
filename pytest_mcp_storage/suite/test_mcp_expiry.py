"""EX · expiry: a session lives for its TTL, no longer, and no read shows it after that."""

from __future__ import annotations

from collections.abc import Coroutine
from itertools import product
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.canary.envelopes import seal
from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation, must_raise
from pytest_mcp_storage.measuring.witness import Witness
from pytest_mcp_storage.oracle.awkward import FILLED
from pytest_mcp_storage.oracle.bulk import create_many
from pytest_mcp_storage.oracle.look_alikes import known_look_alikes
from pytest_mcp_storage.oracle.machine import ExpiryMachine
from pytest_mcp_storage.oracle.model import ROUNDING
from pytest_mcp_storage.oracle.presence import JUST_BEFORE, must_be_absent, must_be_gone, must_be_live, shown_by
from pytest_mcp_storage.oracle.strategies import ABSENT, families, sessions, ttls
from pytest_mcp_storage.oracle.views import must_show
from pytest_mcp_storage.ordeals.callers import all_at_once
from reference_backends import SessionData, SessionNotFoundError


def batches() -> st.SearchStrategy[list[tuple[SessionData, float]]]:
    """Sessions, each with a TTL of its own."""
    return st.lists(st.tuples(sessions(), ttls()), min_size=1, max_size=4, unique_by=lambda each: each[0].session_id)


@measures("EX-1", waits=True, session=sessions(), ttl=ttls())
async def test_a_session_lives_until_its_ttl_has_passed(trial: Trial, session: SessionData, ttl: float) -> None:
    store = await trial.store()
    ttl = trial.ttl(ttl)
    born = trial.now()
    await store.create_session(session, ttl)
    await must_be_live(trial, store, session, until=born + ttl)
    await trial.pass_time(ttl * 0.6)
    await must_be_live(trial, store, session, until=born + ttl)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(ttl * 0.4 - JUST_BEFORE)
        await must_be_live(trial, store, session, until=born + ttl)


@measures("EX-2", waits=True, at_most=20, family=families(max_size=3), ttl=ttls())
async def test_no_read_shows_an_expired_session(trial: Trial, family: list[SessionData], ttl: float) -> None:
    store = await trial.store()
    ttl = trial.ttl(ttl)
    for session in family:
        await store.create_session(session, ttl)
    for _ in range(2):
        for session in family:  # whatever keeps answers has these now, and whatever counts from a read begins anew
            await shown_by(store, session)
        await trial.pass_time(ttl / 2)
    await trial.pass_time(ROUNDING)
    for session in family:
        await must_be_gone(store, session, why=f"its TTL of {ttl:.12g} s has passed")
    if trial.store_is_ours:
        await store.cleanup_expired_sessions()
        for session in family:
            await must_be_gone(store, session, why=f"its TTL of {ttl:.12g} s has passed, and cleanup has run")


@measures("EX-2", waits=True, at_most=1, session=sessions())
async def test_no_read_stumbles_over_an_expired_session(trial: Trial, session: SessionData) -> None:
    for each in await _expired_and_unreadable(trial, session):
        await must_be_gone(await trial.store(), each, why="its TTL has passed, and what nobody sees nobody decrypts")


async def _expired_and_unreadable(trial: Trial, session: SessionData) -> list[SessionData]:
    """Two sessions whose TTL has passed, one of them under another key. None at all where that can't be arranged."""
    if not (trial.can(Capability.AT_REST) and trial.can(Capability.KEY)):
        trial.leave_out("an expired session that can't be decrypted (needs AT_REST and KEY)")
        return []
    ttl = trial.ttl(60) + 2
    both = [session.model_copy(update={**FILLED, "session_id": trial.session_id(f"{n}")}) for n in range(2)]
    for each in both:
        await (await trial.store()).create_session(each, ttl)
    await trial.plant(both[0], "tokens", str(seal(b'{"access_token":"t"}', trial.other_key)))
    await trial.pass_time(ttl + ROUNDING)
    return both


@measures("EX-3", waits=True, at_most=10, session=sessions(), ttl=ttls())
async def test_an_expired_session_cannot_be_updated(trial: Trial, session: SessionData, ttl: float) -> None:
    store = await trial.store()
    ttl = trial.ttl(ttl)
    await store.create_session(session, ttl)
    await shown_by(store, session)  # whatever keeps answers has these now
    await trial.pass_time(ttl + ROUNDING)
    for named, new_ttl in product(({"server_name": "revived"}, {}), (60, None)):
        update = store.update_session(session.identity, session.session_id, named, new_ttl)
        await must_raise(SessionNotFoundError, update, doing="updating an expired session")
        await must_be_gone(store, session, why="an update must not bring it back")


@measures("EX-4", waits=True, old=sessions(), new=sessions(), ttl=ttls())
async def test_an_expired_id_can_be_created_anew(trial: Trial, old: SessionData, new: SessionData, ttl: float) -> None:
    store = await trial.store()
    ttl = trial.ttl(ttl)
    new = new.model_copy(update={"identity": old.identity, "session_id": old.session_id})
    await store.create_session(old, ttl)
    await shown_by(store, old)  # whatever keeps answers has these now
    await trial.pass_time(ttl + ROUNDING)
    born = trial.now()
    await store.create_session(new, 3600)
    should = "show the new session, and nothing of the old one"
    await must_show(trial, store, [new], when="after the new create", should=should)
    if trial.store_is_ours:
        await store.cleanup_expired_sessions()
        await must_show(trial, store, [new], when="after the new create and cleanup", should=should)
    if trial.can(Capability.CLOCK):
        await trial.pass_time(1800)
    await must_be_live(trial, store, new, until=born + 3600)


@measures("EX-4", waits=True, old=sessions(), new=sessions(), ttl=ttls())
async def test_an_expired_id_can_be_created_by_another_identity(
    trial: Trial, old: SessionData, new: SessionData, ttl: float
) -> None:
    store = await trial.store()
    ttl = trial.ttl(ttl)
    new = new.model_copy(update={"identity": trial.identity("another"), "session_id": old.session_id})
    await store.create_session(old, ttl)
    await trial.pass_time(ttl + ROUNDING)
    await store.create_session(new)
    should = "show the new session, and nothing of the old one"
    await must_show(trial, store, [new], when="after a create by another identity", should=should)
    await must_be_absent(store, old, why="it expired, and its id is another identity's now")


@measures("EX-4", waits=True, at_most=1, session=sessions())
async def test_no_field_of_an_expired_session_shines_through(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    ttl = trial.ttl(60)
    await store.create_session(session.model_copy(update=FILLED), ttl)
    await trial.pass_time(ttl + ROUNDING)
    new = session.model_copy(update=ABSENT)
    await store.create_session(new)
    await must_show(trial, store, [new], when="after the new create", should="show nothing of the old session")


@measures("EX-4", waits=True, at_most=1, session=sessions())
async def test_an_expired_id_can_be_created_anew_whatever_its_key(trial: Trial, session: SessionData) -> None:
    for each in await _expired_and_unreadable(trial, session):
        store = await trial.store()
        await store.create_session(each)
        await must_show(trial, store, [each], when="after the new create", should="show the new session")


@measures("EX-4", waits=True, at_most=20, session=sessions())
async def test_reads_beside_the_new_create_leave_it_alone(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    name = session.identity, session.session_id
    ttl = trial.ttl(60)
    await store.create_session(session, ttl)
    await trial.pass_time(ttl + ROUNDING)

    def reads() -> list[Coroutine[Any, Any, Any]]:
        listings = store.get_identity_sessions_data, store.get_identity_mcp_sessions
        return [store.get_session(*name), *(listing(session.identity) for listing in listings)]

    await all_at_once([*reads(), store.create_session(session, 3600), *reads()])
    should = "show it: a read that finds the old one expired must not take the new one for that"
    await must_show(trial, store, [session], when="after a create beside reads", should=should)


@measures("EX-5", waits=True, at_most=10, family=families(2, 4), ttl=ttls())
async def test_cleanup_removes_the_expired_and_no_other(trial: Trial, family: list[SessionData], ttl: float) -> None:
    store = await trial.store()
    ttl = trial.ttl(ttl)
    names = "neighbour, lives", "renewed, lives", "created again, lives"
    live = [family[0].model_copy(update={"session_id": trial.session_id(name)}) for name in names]
    neighbour, renewed, recreated = live
    await store.create_session(neighbour, 500_000)
    await store.create_session(renewed, ttl)
    await store.update_session(renewed.identity, renewed.session_id, {}, 500_000)
    await store.create_session(recreated, ttl)
    await store.remove_session(recreated.identity, recreated.session_id)
    await store.create_session(recreated, 500_000)
    for session in family:
        await store.create_session(session, ttl)
    await trial.pass_time(ttl + ROUNDING)
    for _ in range(2):
        await store.cleanup_expired_sessions()
        await must_show(trial, store, live, family, when="after cleanup", should="remove the expired, and no other")
    for session in family:
        await must_have_no_row(trial, session)


@measures("EX-5", waits=True, at_most=1, needs=[Capability.AT_REST], session=sessions())
async def test_cleanup_is_complete_past_any_page_size(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    count = min(trial.tier.clearing, trial.tier.listed)
    many = await create_many(trial, store, session, count, 1)
    many += await create_many(trial, store, session, count // 2, 1, identities=True)
    await trial.pass_time(1 + ROUNDING)
    await store.cleanup_expired_sessions()
    for each in many:
        await must_have_no_row(trial, each)


@measures("EX-5", waits=True, at_most=1, session=sessions())
async def test_cleanup_leaves_what_was_renewed(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    ttl = trial.ttl(60) + 2
    renewed: list[SessionData] = []
    for named, longer in product(({}, {"server_name": "renewed"}), (None, 500_000)):
        each = session.model_copy(update={"session_id": trial.session_id(f"{len(renewed)}")})
        await store.create_session(each, ttl)
        await store.update_session(each.identity, each.session_id, named, longer)
        renewed.append(each.model_copy(update=named))
    await trial.pass_time(ttl + ROUNDING)
    await store.cleanup_expired_sessions()
    await must_show(trial, store, renewed, when="after cleanup", should="leave what was renewed")
    if trial.can(Capability.CLOCK):
        await trial.pass_time(500_000)
        await store.cleanup_expired_sessions()
        for each in renewed:
            await must_have_no_row(trial, each)


@measures("EX-5", waits=True, at_most=1, session=sessions())
async def test_cleanup_keeps_names_apart_that_look_alike(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    brief, lasting, end = await _look_alikes(trial, session)
    await store.cleanup_expired_sessions()
    await _must_tell_apart(trial, store, brief, lasting, until=end)
    for each in brief:
        await must_have_no_row(trial, each)


async def _look_alikes(trial: Trial, session: SessionData) -> tuple[list[SessionData], list[SessionData], float]:
    """Of each pair of names that look alike, the one whose TTL has passed, and the other; and until when those live."""
    store = await trial.store()
    ttl, born = trial.ttl(60) + 2, trial.now()
    pairs = [
        [
            session.model_copy(update={"identity": trial.identity(name[0]), "session_id": trial.session_id(name[1])})
            for name in ((f"{number}.{one}", f"{other}.{number}") for one, other in pair)
        ]
        for number, pair in enumerate(known_look_alikes())
    ]
    for brief, lasting in pairs:
        await store.create_session(brief, ttl)
        await store.create_session(lasting, 3600)
    await trial.pass_time(ttl + ROUNDING)
    return [brief for brief, _ in pairs], [lasting for _, lasting in pairs], born + 3600


async def _must_tell_apart(
    trial: Trial, store: Witness, brief: list[SessionData], lasting: list[SessionData], *, until: float
) -> None:
    for ended, other in zip(brief, lasting, strict=True):
        if await store.get_session(ended.identity, ended.session_id) is not None:
            raise Violation(f"get_session returned {ended!r} after its TTL", should="end each in its own time")
        if await store.get_session(other.identity, other.session_id) is None and trial.now() < until:
            like = f"{ended.identity!r}, {ended.session_id!r}"
            raise Violation(f"get_session returned nothing once the session of {like} had ended", should="return it")


@measures("EX-5", waits=True, at_most=20, session=sessions())
async def test_cleanup_leaves_what_is_created_beside_it(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    ttl = trial.ttl(60)
    many = [session.model_copy(update={"session_id": trial.session_id(f"{number}")}) for number in range(5)]
    for each in many:
        await store.create_session(each, ttl)
    await trial.pass_time(ttl + ROUNDING)
    creates = [store.create_session(each, 3600) for each in many]
    await all_at_once([store.cleanup_expired_sessions(), *creates])
    should = "remove the expired sessions, and not the new ones of their names"
    await must_show(trial, store, many, when="after creates beside cleanup", should=should)


@measures("EX-5", waits=True, at_most=1, session=sessions())
async def test_cleanup_removes_what_cannot_be_decrypted(trial: Trial, session: SessionData) -> None:
    both = await _expired_and_unreadable(trial, session)
    await (await trial.store()).cleanup_expired_sessions()
    for each in both:
        await must_have_no_row(trial, each)


async def must_have_no_row(trial: Trial, session: SessionData) -> None:
    """AT_REST: nothing of the session lies in the store."""
    if not trial.can(Capability.AT_REST):
        return
    try:
        await trial.harness.stored_fields(session.identity, session.session_id)
    except LookupError:
        return
    raise Violation(f"after cleanup the expired row of {session.session_id!r} lies in the store", should="be removed")


@measures("EX-10", waits=True, batch=batches())
async def test_neighbours_expire_each_in_its_own_time(trial: Trial, batch: list[tuple[SessionData, float]]) -> None:
    store = await trial.store()
    identity = batch[0][0].identity
    family = [(session.model_copy(update={"identity": identity}), trial.ttl(ttl)) for session, ttl in batch]
    born = trial.now()
    for session, ttl in family:
        await store.create_session(session, ttl)
    renewed = family[0][0].model_copy(update={"session_id": trial.session_id("the neighbour that is renewed")})
    await store.create_session(renewed, 500_000)
    await store.update_session(identity, renewed.session_id, {}, 500_000)
    for session, ttl in sorted(family, key=lambda each: each[1]):
        created = trial.now() if not trial.can(Capability.CLOCK) else born
        await trial.pass_time(max(0.0, born + ttl + ROUNDING - created))
        await must_be_gone(store, session, why=f"its own TTL of {ttl:.12g} s has passed")
        for other, longer in family:
            if born + longer > trial.now():
                await must_be_live(trial, store, other, until=born + longer)
    await must_be_live(trial, store, renewed, until=born + 500_000)


@measures("EX-10", waits=True, at_most=1, session=sessions())
async def test_names_that_look_alike_expire_each_in_their_own_time(trial: Trial, session: SessionData) -> None:
    brief, lasting, end = await _look_alikes(trial, session)
    await _must_tell_apart(trial, await trial.store(), brief, lasting, until=end)


@measures("EX-10")
def test_any_mixture_of_ttls_and_renewals_answers_as_the_model_does(trial: Trial) -> type[ExpiryMachine] | None:
    return ExpiryMachine if trial.can(Capability.CLOCK) else None


@measures("EX-11", waits=True, at_most=8, session=sessions(), ttl=ttls())
async def test_expiry_survives_a_new_open(trial: Trial, session: SessionData, ttl: float) -> None:
    ttl = trial.ttl(ttl)
    brief = session.model_copy(update={"session_id": f"brief {session.session_id}"})
    first = await trial.open()
    born = trial.now()
    await first.create_session(session, ttl)
    await first.create_session(brief, ttl / 4)
    await first.disconnect()
    await trial.pass_time(ttl / 2)
    second = await trial.open()
    await must_be_live(trial, second, session, until=born + ttl)
    await trial.pass_time(ttl / 2 + ROUNDING)
    for each in session, brief:
        await must_be_gone(second, each, why="its TTL has passed since it was created, part of it while closed")
