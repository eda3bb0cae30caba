"""ID · identities and listings: every identity sees its own sessions, all of them, and nobody else's."""

from __future__ import annotations

from collections import Counter
from itertools import product

from hypothesis import strategies as st

from pytest_mcp_storage.measuring.comparison import difference
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation, outcome_of, told
from pytest_mcp_storage.oracle.bulk import create_many
from pytest_mcp_storage.oracle.machine import ListingMachine
from pytest_mcp_storage.oracle.strategies import TwoNames, families, known_look_alikes, look_alikes, sessions
from reference_backends import SessionData, SessionExistsError


@measures("ID-1", family=families(), sealed=st.booleans())
async def test_the_listing_holds_each_session_once_and_whole(
    trial: Trial, family: list[SessionData], sealed: bool
) -> None:
    store = await trial.store(sealed=sealed)
    for session in family:
        await store.create_session(session)
    for identity in {session.identity for session in family}:
        expected = {session.session_id: session for session in family if session.identity == identity}
        seen = await store.get_identity_sessions_data(identity)
        if sorted(each.session_id for each in seen) != sorted(expected):
            ids = [each.session_id for each in seen]
            raise Violation(f"get_identity_sessions_data returned {ids}", should=f"be {list(expected)}, each once")
        for each in seen:
            if found := difference(each, expected[each.session_id]):
                raise Violation(f"get_identity_sessions_data returned {found}", should="return each session whole")


@measures("ID-1")
def test_the_listings_follow_any_sequence_of_calls(trial: Trial) -> type[ListingMachine]:
    return ListingMachine


@measures("ID-2", family=families())
async def test_the_listing_of_ids_is_exact(trial: Trial, family: list[SessionData]) -> None:
    store = await trial.store()
    for session in family:
        await store.create_session(session)
    for identity in {session.identity for session in family}:
        expected = sorted(session.session_id for session in family if session.identity == identity)
        seen = await store.get_identity_mcp_sessions(identity)
        if sorted(seen) != expected:
            raise Violation(f"get_identity_mcp_sessions returned {sorted(seen)}", should=f"be {expected}, each once")


@measures("ID-3", pair=look_alikes(), template=sessions())
async def test_names_that_look_alike_are_kept_apart(trial: Trial, pair: TwoNames, template: SessionData) -> None:
    await keep_apart(trial, pair, template)


@measures("ID-3", at_most=1, template=sessions())
async def test_every_known_pair_of_look_alikes_is_kept_apart(trial: Trial, template: SessionData) -> None:
    for pair in known_look_alikes():
        trial.begin()
        await keep_apart(trial, pair, template)


async def keep_apart(trial: Trial, pair: TwoNames, template: SessionData) -> None:
    """Two sessions under names that look alike: each is found under its own name, and removed alone."""
    store = await trial.store()
    first, second = names = [(trial.identity(identity), trial.session_id(session_id)) for identity, session_id in pair]
    stored = {
        name: template.model_copy(update={"identity": name[0], "session_id": name[1], "server_name": str(number)})
        for number, name in enumerate(names)
    }
    for session in stored.values():
        await store.create_session(session)
    for name in product(*map(set, zip(*names, strict=True))):
        seen = await store.get_session(*name)
        if name in stored and (found := difference(seen, stored[name])):
            raise Violation(f"get_session{name} returned {found}", should="return that name's own session")
        if name not in stored and seen is not None:
            raise Violation(f"get_session{name} returned {seen!r}", should="return None: it was never created")
    for identity in {name[0] for name in names}:
        expected = sorted(name[1] for name in names if name[0] == identity)
        seen_ids = sorted(await store.get_identity_mcp_sessions(identity))
        seen_data = sorted(each.session_id for each in await store.get_identity_sessions_data(identity))
        if seen_ids != expected or seen_data != expected:
            raise Violation(f"{identity!r} lists {seen_ids} and {seen_data}", should=f"list {expected}")
    await store.remove_session(*first)
    if found := difference(await store.get_session(*second), stored[second]):
        raise Violation(f"after {first} was removed get_session{second} returned {found}", should="leave it alone")


@measures("ID-4", session=sessions(), other=sessions())
async def test_one_session_id_under_two_identities(trial: Trial, session: SessionData, other: SessionData) -> None:
    store = await trial.store()
    other = other.model_copy(update={"identity": trial.identity("another"), "session_id": session.session_id})
    await store.create_session(session)
    got = await outcome_of(store.create_session(other))
    if isinstance(got, SessionExistsError):
        if found := difference(await store.get_session(session.identity, session.session_id), session):
            raise Violation(
                f"after the refused create get_session returned {found}", should="leave the first untouched"
            )
        return
    if isinstance(got, Exception):
        raise Violation(
            f"creating the id under another identity {told(got)}", should="raise SessionExistsError, or work"
        )
    await store.update_session(other.identity, other.session_id, {"server_name": "changed"})
    changed = other.model_copy(update={"server_name": "changed"})
    for expected in (session, changed):
        if found := difference(await store.get_session(expected.identity, expected.session_id), expected):
            raise Violation(f"get_session({expected.identity!r}) returned {found}", should="keep the two fully apart")
    await store.remove_session(session.identity, session.session_id)
    if found := difference(await store.get_session(other.identity, other.session_id), changed):
        raise Violation(f"after the other's removal get_session returned {found}", should="keep the two fully apart")


@measures("ID-5", session=sessions(), other=sessions())
async def test_another_identitys_session_reads_as_none(trial: Trial, session: SessionData, other: SessionData) -> None:
    store = await trial.store()
    stranger = trial.identity("stranger")
    await store.create_session(session)
    for identity in (stranger, other.identity):
        if identity != session.identity and (seen := await store.get_session(identity, session.session_id)) is not None:
            raise Violation(
                f"get_session({identity!r}) returned {seen!r} of {session.identity!r}", should="return None"
            )


@measures("ID-6", at_most=1, session=sessions())
async def test_listings_are_complete_past_any_page_size(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    expected = {each.session_id for each in await create_many(trial, store, session, trial.tier.listed)}
    ids = await store.backend.get_identity_mcp_sessions(session.identity)
    data = await store.backend.get_identity_sessions_data(session.identity)
    for method, seen in (
        ("get_identity_mcp_sessions", ids),
        ("get_identity_sessions_data", [each.session_id for each in data]),
    ):
        if set(seen) != expected or len(seen) != len(expected):
            told_ = f"{len(seen)} ids, {len(set(seen))} of them different"
            raise Violation(f"{method} returned {told_}", should=f"be all {len(expected)}, each once")


@measures("ID-7", family=families())
async def test_all_ids_are_those_of_the_live_sessions(trial: Trial, family: list[SessionData]) -> None:
    store = await trial.store()
    before = Counter(await store.get_all_session_ids())
    for session in family:
        await store.create_session(session)
    gone, *kept = family
    await store.remove_session(gone.identity, gone.session_id)
    expected = before + Counter(session.session_id for session in kept)
    seen = Counter(await store.get_all_session_ids())
    if seen != expected:
        missing, added = sorted((expected - seen).elements()), sorted((seen - expected).elements())
        raise Violation(
            f"get_all_session_ids lacks {missing[:5]} and adds {added[:5]}", should="be every live id, once"
        )
