"""RT, ID, EX · values in the store's own source: the lengths, counts, words and times that it compares with."""

from __future__ import annotations

from itertools import product
from typing import Any

from pytest_mcp_storage.engine.clause_test import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import JUST_BEFORE, assert_gone, assert_live
from pytest_mcp_storage.oracle.bulk_create import create_many
from pytest_mcp_storage.oracle.edge_texts import around, batched, joined_by, nested, of_length
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.oracle.limits import LARGEST_NUMBER, LATEST_MOMENT_MS, LONGEST_NAME, LONGEST_TTL
from pytest_mcp_storage.oracle.model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.suite.test_mcp_identity import keep_apart
from reference_backends import SessionData

LARGEST_VALUE = 2**21
"""Characters of the longest value that is tried."""
MOST_KEYS = 20_000


TEXT_FIELDS = ("server_name", "server_id", "client_id", "server_url", "callback_url")


@clause_test("RT-3", at_most=1, session=sessions())
async def test_texts_and_numbers_that_the_source_names_survive(context: TestContext, session: SessionData) -> None:
    texts = [text for each in context.constants.texts for text in around(each)]
    numbers = [each for n in context.constants.numbers for each in (n - 1, n, n + 1, -n) if abs(each) <= LARGEST_NUMBER]
    values: dict[str, Any] = {**{text: text for text in texts}, "numbers": numbers, "texts": texts}
    for sealed in (True, False):
        await _survives(context, session, sealed, {"tokens": values, "client_information": {"inner": values}})
        await _survives(context, session, sealed, {"headers": {text: text for text in texts}})
    whole = [dict.fromkeys(TEXT_FIELDS, text) for text in context.constants.texts]
    parts = [dict(zip(TEXT_FIELDS, some, strict=False)) for some in batched(texts, len(TEXT_FIELDS))]
    for number, fields in enumerate([*whole, *parts]):
        await _survives(context, session, number % 2 == 0, fields)


@clause_test("RT-3", at_most=1, session=sessions())
async def test_lengths_that_the_source_names_survive(context: TestContext, session: SessionData) -> None:
    for sealed, length in product((True, False), context.constants.around(1, LARGEST_VALUE)):
        text = of_length(length)
        await _survives(context, session, sealed, {"tokens": {"access_token": text}, "server_url": text})
        await _survives(context, session, sealed, {"headers": {"h": text}, "client_information": {"scope": text}})


@clause_test("RT-3", at_most=1, session=sessions())
async def test_counts_and_depths_that_the_source_names_survive(context: TestContext, session: SessionData) -> None:
    for sealed, count in product((True, False), context.constants.around(1, MOST_KEYS)):
        many = {f"k{number}": number for number in range(count)}
        await _survives(context, session, sealed, {"tokens": many, "client_information": {"list": list(many)}})
        await _survives(context, session, sealed, {"headers": dict.fromkeys(many, "v")})
        if inner := nested(count):
            await _survives(context, session, sealed, {"tokens": inner, "client_information": inner})


async def _survives(context: TestContext, session: SessionData, sealed: bool, fields: dict[str, Any]) -> None:
    context.begin()
    store = await context.store(sealed=sealed)
    session = SessionData.model_validate(context.own(session).__dict__ | fields)
    name = session.identity, session.session_id
    await store.create_session(session.model_copy(deep=True))
    for when in ("after create", "after an update that names them"):
        if found := difference(await store.get_session(*name), session):
            raise Violation(f"{when} get_session returned {found}", should="return every admitted value unchanged")
        await store.update_session(*name, fields)
    await store.remove_session(*name)


@clause_test("RT-7", at_most=1, session=sessions())
async def test_moments_that_the_source_names_survive(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    for moment in context.constants.around(0, LATEST_MOMENT_MS):
        each = session.model_copy(update={"session_id": context.session_id(f"{moment}"), "created_at": moment})
        await store.create_session(each)
        if found := difference(await store.get_session(each.identity, each.session_id), each):
            raise Violation(f"get_session returned {found}", should="keep created_at to the millisecond")


@clause_test("ID-3", at_most=1, template=sessions())
async def test_names_that_the_source_names_are_kept_apart(context: TestContext, template: SessionData) -> None:
    pairs = [pair for text in context.constants.texts if not text.isidentifier() for pair in joined_by(text)]
    for length in context.constants.around(2, LONGEST_NAME - 40):
        one, other = of_length(length - 1) + "a", of_length(length - 1) + "b"
        pairs += [((one, "s"), (other, "s2")), (("alice", one), ("alice", other))]
    for pair in pairs:
        context.begin()
        await keep_apart(context, [(context.identity(one), context.session_id(other)) for one, other in pair], template)


@clause_test("ID-3", at_most=1, template=sessions())
async def test_whole_names_that_the_source_names_are_kept_apart(context: TestContext, template: SessionData) -> None:
    """Use a separate store and no example mark: a store may compare a whole name."""
    async with context.another_store() as harness:
        store = await context.open(*context.usual_keys, name="another_store", harness=harness)
        names = [(text, f"s{number}") for number, text in enumerate(context.constants.texts)]
        names += [(f"i{number}", text) for number, text in enumerate(context.constants.texts)]
        for identity, session_id in names:
            update = {"identity": identity, "session_id": session_id, "server_name": f"{identity} {session_id}"}
            session = template.model_copy(update=update)
            await store.create_session(session)
            if found := difference(await store.get_session(identity, session_id), session):
                raise Violation(
                    f"get_session({identity!r}, {session_id!r}) returned {found}", should="find the session"
                )
        for identity, session_id in names:
            if (ids := await store.get_identity_mcp_sessions(identity)) != [session_id]:
                raise Violation(f"{identity!r} lists {ids}", should=f"list {[session_id]}")


@clause_test("ID-6", at_most=1, session=sessions())
async def test_listings_are_complete_at_counts_that_the_source_names(
    context: TestContext, session: SessionData
) -> None:
    store = await context.store()
    identity = session.identity
    created: set[str] = set()
    for count in context.constants.around(2, context.tier.listed):
        more = await create_many(context, store, session, count - len(created), first=len(created))
        created |= {each.session_id for each in more}
        for method in (store.get_identity_mcp_sessions, store.get_identity_sessions_data):
            ids = [each if isinstance(each, str) else each.session_id for each in await method(identity)]
            if sorted(ids) != sorted(created):
                found = f"{len(ids)} sessions, {len(set(ids))} of them different"
                raise Violation(f"{method.__name__} returned {found}", should=f"be all {count}, each once")


@clause_test("EX-9", waits=True, at_most=1, session=sessions())
async def test_ttls_that_the_source_names_are_kept_as_given(context: TestContext, session: SessionData) -> None:
    if not context.can(Capability.CLOCK):
        return context.leave_out("the ttls that the store's source names, which need CLOCK")
    store = await context.store()
    for ttl, renewed in product(context.constants.around(1, LONGEST_TTL), (False, True)):
        context.begin()
        each = context.own(session)
        name = each.identity, each.session_id
        await store.create_session(each, 5 if renewed else ttl)
        if renewed:
            await store.update_session(*name, {"active": True}, ttl)
        born = context.now()
        await context.pass_time(ttl - JUST_BEFORE)
        await assert_live(context, store, each, until=born + ttl)
        await context.pass_time(JUST_BEFORE + ROUNDING)
        await assert_gone(store, each, why=f"its TTL of {ttl} s has passed")
        await store.remove_session(*name)
    return None
