"""ID · identities and listings: every identity sees its own sessions, all of them, and nobody else's."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import product

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.assertions import assert_absent, assert_live
from pytest_mcp_storage.oracle.bulk_create import MORE_THAN_A_SMALL_PAGE, create_many
from pytest_mcp_storage.oracle.confusables import TwoNames, confusables, hardly_different, known_confusables, known_ends
from pytest_mcp_storage.oracle.edge_cases import EDGE_CASE_NAMES, EDGE_CASES, EMPTY, FILLED, TEXT_FIELDS
from pytest_mcp_storage.oracle.generators import ABSENT, families, sessions
from pytest_mcp_storage.oracle.machine import ListingMachine
from pytest_mcp_storage.oracle.store_model import ROUNDING, SessionKey
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from reference_backends import SessionData, SessionExistsError

MORE_THAN_A_PAGE = 1100
"""Sessions; servers answer with their first 1,000."""
QUARTER_MEBIBYTE = "x" * 2**18


@clause_test("ID-1", family=families(), sealed=every(False, True))
async def test_the_listing_holds_each_session_once_and_whole(
    context: TestContext, family: list[SessionData], sealed: bool
) -> None:
    store = await context.store(sealed=sealed)
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


@clause_test("ID-1", at_most=1, session=sessions())
async def test_the_listing_returns_awkward_sessions_whole(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    long = dict.fromkeys(TEXT_FIELDS, "0123456789é👩" * 6000)
    for number, shape in enumerate((FILLED, EMPTY, ABSENT, EDGE_CASES, long)):
        edge_case = session.model_copy(update={**shape, "identity": context.identity(f"{number}")})
        await store.create_session(edge_case)
        for seen in await store.get_identity_sessions_data(edge_case.identity):
            if found := difference(seen, edge_case):
                raise Violation(f"get_identity_sessions_data returned {found}", should="return each session whole")
        await store.remove_session(edge_case.identity, edge_case.session_id)


@clause_test("ID-1")
def test_the_listings_follow_any_sequence_of_calls(context: TestContext) -> type[ListingMachine]:
    return ListingMachine


@clause_test("ID-1", at_most=3, first=sessions(), other=sessions())
async def test_the_listing_follows_every_change(context: TestContext, first: SessionData, other: SessionData) -> None:
    store = await context.store()
    async for when, live in changing(context, store, first, other):
        expected = {each.session_id: each for each in live}
        seen = await store.get_identity_sessions_data(first.identity)
        if sorted(each.session_id for each in seen) != sorted(expected):
            ids = [each.session_id for each in seen]
            raise Violation(f"{when} get_identity_sessions_data returned {ids}", should=f"be {list(expected)}")
        for each in seen:
            if found := difference(each, expected[each.session_id]):
                raise Violation(f"{when} get_identity_sessions_data returned {found}", should="return it as it is now")


async def changing(
    context: TestContext, store: RecordingBackend, first: SessionData, other: SessionData
) -> AsyncIterator[tuple[str, list[SessionData]]]:
    """Make every kind of change to one identity's sessions; after each, yield a description and the live sessions."""
    owner = first.identity
    others = [
        other.model_copy(update={"identity": owner, "session_id": context.session_id(f"other {name}")})
        for name in EDGE_CASE_NAMES
    ]
    updated = first.model_copy(update={"server_name": "updated"})
    yield "before any create", []
    await store.create_session(first)
    yield "after a create", [first]
    for each in others:
        await store.create_session(each)
    yield "after other creates", [first, *others]
    await store.update_session(owner, first.session_id, {"server_name": "updated"})
    yield "after an update", [updated, *others]
    await store.remove_session(owner, first.session_id)
    yield "after a removal", others
    await store.create_session(first)
    yield "after a new create", [first, *others]


@clause_test("ID-2", family=families())
async def test_the_listing_of_ids_is_exact(context: TestContext, family: list[SessionData]) -> None:
    store = await context.store()
    for session in family:
        await store.create_session(session)
    for identity in {session.identity for session in family}:
        expected = sorted(session.session_id for session in family if session.identity == identity)
        seen = await store.get_identity_mcp_sessions(identity)
        if sorted(seen) != expected:
            raise Violation(f"get_identity_mcp_sessions returned {sorted(seen)}", should=f"be {expected}, each once")


@clause_test("ID-2", at_most=3, first=sessions(), other=sessions())
async def test_the_listing_of_ids_follows_every_change(
    context: TestContext, first: SessionData, other: SessionData
) -> None:
    store = await context.store()
    async for when, live in changing(context, store, first, other):
        expected = sorted(each.session_id for each in live)
        seen = sorted(await store.get_identity_mcp_sessions(first.identity))
        if seen != expected:
            raise Violation(f"{when} get_identity_mcp_sessions returned {seen}", should=f"be {expected}, each once")


@clause_test("ID-3", pair=confusables(), template=sessions())
async def test_names_that_look_alike_are_kept_apart(
    context: TestContext, pair: TwoNames, template: SessionData
) -> None:
    await keep_apart(context, [(context.identity(one), context.session_id(other)) for one, other in pair], template)


@clause_test("ID-3", at_most=1, template=sessions())
async def test_every_known_pair_of_look_alikes_is_kept_apart(context: TestContext, template: SessionData) -> None:
    for pair in known_confusables():
        context.begin()
        await keep_apart(context, [(context.identity(one), context.session_id(other)) for one, other in pair], template)
    for pair in known_ends():  # with the example's mark at the other end
        context.begin()
        await keep_apart(context, [(context.session_id(one), context.identity(other)) for one, other in pair], template)


@clause_test("ID-3", at_most=1, template=sessions())
async def test_long_names_and_numbers_are_kept_apart(context: TestContext, template: SessionData) -> None:
    for pair in hardly_different(context.number, context.identity("")):
        await keep_apart(context, pair, template)


async def keep_apart(context: TestContext, names: Sequence[SessionKey], template: SessionData) -> None:
    """Assert that two sessions under confusable names are found, changed and removed separately."""
    store = await context.store()
    first, second = names
    stored = {
        name: template.model_copy(update={"identity": name[0], "session_id": name[1], "server_name": str(number)})
        for number, name in enumerate(names)
    }
    for session in stored.values():
        await store.create_session(session)
    await store.update_session(*first, {"server_url": "updated"})
    stored[first] = stored[first].model_copy(update={"server_url": "updated"})
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
    await store.remove_session(*second)


@clause_test("ID-4", at_most=20, session=sessions(), other=sessions())
async def test_one_session_id_under_two_identities(
    context: TestContext, session: SessionData, other: SessionData
) -> None:
    store = await context.store()
    other = other.model_copy(update={"identity": context.identity("another"), "session_id": session.session_id})
    await store.create_session(session)
    got = await outcome_of(store.create_session(other))
    if isinstance(got, SessionExistsError):
        await assert_reads(context, store, [session], [other], when="after the refused create")
        return
    if isinstance(got, Exception):
        raise Violation(
            f"creating the id under another identity {describe(got)}", should="raise SessionExistsError, or work"
        )
    await assert_reads(context, store, [session, other], when="after both creates")
    for each in session, other:
        await store.update_session(each.identity, each.session_id, {"server_name": f"of {each.identity}"})
    session, other = (each.model_copy(update={"server_name": f"of {each.identity}"}) for each in (session, other))
    await assert_reads(context, store, [session, other], when="after updates of both")
    for gone, kept in (other, session), (session, other):
        await store.remove_session(gone.identity, gone.session_id)
        await assert_reads(context, store, [kept], [gone], when=f"after the removal under {gone.identity!r}")
        await store.create_session(gone)


@clause_test("ID-4", waits=True, at_most=1, session=sessions())
async def test_one_session_id_under_two_identities_ends_twice(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    brief = session.model_copy(update={"identity": context.identity("another")})
    ttl = context.ttl(60)
    written_at = context.now()
    await store.create_session(brief, ttl)
    refused = isinstance(await outcome_of(store.create_session(session, 3600)), SessionExistsError)
    if not refused:
        await store.update_session(session.identity, session.session_id, {}, 3600)
    await context.pass_time(ttl + ROUNDING)
    await assert_absent(store, brief, why="its own TTL has passed; the other identity does not matter")
    if not refused:
        await assert_live(context, store, session, until=written_at + 3600)


async def assert_reads(
    context: TestContext,
    store: RecordingBackend,
    live: Sequence[SessionData],
    gone: Sequence[SessionData] = (),
    *,
    when: str,
) -> None:
    """Assert that each identity reads its own session of the shared id in every read, and ``gone`` none."""
    for session, there in [*((each, True) for each in live), *((each, False) for each in gone)]:
        seen = await store.get_session(session.identity, session.session_id)
        found = difference(seen, session) if there else seen and "a session"
        if found:
            raise Violation(
                f"{when} get_session({session.identity!r}) returned {found}", should="keep both fully apart"
            )
        ids = await store.get_identity_mcp_sessions(session.identity)
        data = await store.get_identity_sessions_data(session.identity)
        counts = ids.count(session.session_id), sum(not difference(each, session) for each in data)
        if counts != (there, there):
            lists = f"{ids} and {data}"
            raise Violation(f"{when} {session.identity!r} lists {lists}", should="keep both fully apart")
        if there and context.store_is_ours and session.session_id not in await store.get_all_session_ids():
            raise Violation(f"{when} get_all_session_ids lacks their id", should="hold it while one of both is live")


@clause_test("ID-5", session=sessions(), other=sessions())
async def test_another_identitys_session_reads_as_none(
    context: TestContext, session: SessionData, other: SessionData
) -> None:
    store = await context.store()
    known = other.model_copy(update={"identity": context.identity("known"), "session_id": context.session_id("own")})
    await store.create_session(session)
    await store.create_session(known)
    for identity in (context.identity("stranger"), known.identity):
        if (seen := await store.get_session(identity, session.session_id)) is not None:
            raise Violation(
                f"get_session({identity!r}) returned {seen!r} of {session.identity!r}", should="return None"
            )


@clause_test("ID-6", at_most=1, session=sessions())
async def test_listings_are_complete_past_any_page_size(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    expected = {
        each.session_id
        for each in await create_many(context, store, session, context.tier.listed, least=MORE_THAN_A_SMALL_PAGE)
    }
    ids = await store.get_identity_mcp_sessions(session.identity)
    data = await store.get_identity_sessions_data(session.identity)
    for method, seen in (
        ("get_identity_mcp_sessions", ids),
        ("get_identity_sessions_data", [each.session_id for each in data]),
    ):
        if set(seen) != expected or len(seen) != len(expected):
            found = f"{len(seen)} ids, {len(set(seen))} of them different"
            raise Violation(f"{method} returned {found}", should=f"be all {len(expected)}, each once")


@clause_test("ID-6", at_most=1, session=sessions())
async def test_listings_of_large_sessions_are_complete(context: TestContext, session: SessionData) -> None:
    """Use large sessions: some servers limit a page by its bytes (DynamoDB: 1 MiB)."""
    store = await context.store()
    many = [
        session.model_copy(update={"session_id": context.session_id(f"{number}"), "tokens": {"t": QUARTER_MEBIBYTE}})
        for number in range(12)
    ]
    for each in many:
        await store.create_session(each)
    expected = sorted(each.session_id for each in many)
    ids = await store.get_identity_mcp_sessions(session.identity)
    data = [each.session_id for each in await store.get_identity_sessions_data(session.identity)]
    for method, seen in (("get_identity_mcp_sessions", ids), ("get_identity_sessions_data", data)):
        if sorted(seen) != expected:
            raise Violation(f"{method} returned {len(seen)} of {len(many)} sessions of 256 KiB", should="return all")


@clause_test("ID-7", family=families())
async def test_all_ids_are_those_of_the_live_sessions(context: TestContext, family: list[SessionData]) -> None:
    store = await context.store()
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


@clause_test("ID-7", at_most=3, first=sessions(), other=sessions())
async def test_all_ids_follow_every_change(context: TestContext, first: SessionData, other: SessionData) -> None:
    store = await context.store()
    before = Counter(await store.get_all_session_ids())
    async for when, live in changing(context, store, first, other):
        seen = Counter(await store.get_all_session_ids()) - before
        expected = Counter(each.session_id for each in live)
        if seen != expected:
            ids = sorted(seen.elements())
            raise Violation(f"{when} get_all_session_ids shows {ids}", should=f"add {sorted(expected)}, each once")


@clause_test("ID-7", at_most=1, session=sessions())
async def test_all_ids_are_complete_past_a_thousand(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    before = set(await store.get_all_session_ids())
    expected = {
        each.session_id
        for each in await create_many(context, store, session, MORE_THAN_A_PAGE, least=MORE_THAN_A_SMALL_PAGE)
    }
    seen = [each for each in await store.get_all_session_ids() if each not in before]
    if set(seen) != expected or len(seen) != len(expected):
        found = f"{len(seen)} new ids, {len(set(seen))} of them different"
        raise Violation(f"get_all_session_ids returned {found}", should=f"be all {len(expected)}, each once")
