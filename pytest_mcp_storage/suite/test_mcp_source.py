"""RT, ID, EX · values that the store's own source names: the lengths, counts, words and times that it compares with."""

from __future__ import annotations

from itertools import product
from typing import Any

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.measuring.comparison import difference
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation
from pytest_mcp_storage.oracle.bulk import create_many
from pytest_mcp_storage.oracle.edge_texts import around, batched, joined_by, nested, of_length
from pytest_mcp_storage.oracle.limits import LARGEST_NUMBER, LATEST_MOMENT_MS, LONGEST_NAME, LONGEST_TTL
from pytest_mcp_storage.oracle.model import ROUNDING
from pytest_mcp_storage.oracle.presence import JUST_BEFORE, must_be_gone, must_be_live
from pytest_mcp_storage.oracle.strategies import sessions
from pytest_mcp_storage.suite.test_mcp_identity import keep_apart
from reference_backends import SessionData

LARGEST_VALUE = 2**21
"""Characters of the longest value that is tried."""
MOST_KEYS = 20_000


TEXT_FIELDS = ("server_name", "server_id", "client_id", "server_url", "callback_url")


@measures("RT-3", at_most=1, session=sessions())
async def test_texts_and_numbers_that_the_source_names_survive(trial: Trial, session: SessionData) -> None:
    texts = [text for each in trial.constants.texts for text in around(each)]
    numbers = [each for n in trial.constants.numbers for each in (n - 1, n, n + 1, -n) if abs(each) <= LARGEST_NUMBER]
    values: dict[str, Any] = {**{text: text for text in texts}, "numbers": numbers, "texts": texts}
    for sealed in (True, False):
        await _survives(trial, session, sealed, {"tokens": values, "client_information": {"inner": values}})
        await _survives(trial, session, sealed, {"headers": {text: text for text in texts}})
    whole = [dict.fromkeys(TEXT_FIELDS, text) for text in trial.constants.texts]
    parts = [dict(zip(TEXT_FIELDS, some, strict=False)) for some in batched(texts, len(TEXT_FIELDS))]
    for number, fields in enumerate([*whole, *parts]):
        await _survives(trial, session, number % 2 == 0, fields)


@measures("RT-3", at_most=1, session=sessions())
async def test_lengths_that_the_source_names_survive(trial: Trial, session: SessionData) -> None:
    for sealed, length in product((True, False), trial.constants.around(1, LARGEST_VALUE)):
        text = of_length(length)
        await _survives(trial, session, sealed, {"tokens": {"access_token": text}, "server_url": text})
        await _survives(trial, session, sealed, {"headers": {"h": text}, "client_information": {"scope": text}})


@measures("RT-3", at_most=1, session=sessions())
async def test_counts_and_depths_that_the_source_names_survive(trial: Trial, session: SessionData) -> None:
    for sealed, count in product((True, False), trial.constants.around(1, MOST_KEYS)):
        many = {f"k{number}": number for number in range(count)}
        await _survives(trial, session, sealed, {"tokens": many, "client_information": {"list": list(many)}})
        await _survives(trial, session, sealed, {"headers": dict.fromkeys(many, "v")})
        if inner := nested(count):
            await _survives(trial, session, sealed, {"tokens": inner, "client_information": inner})


async def _survives(trial: Trial, session: SessionData, sealed: bool, fields: dict[str, Any]) -> None:
    trial.begin()
    store = await trial.store(sealed=sealed)
    session = SessionData.model_validate(trial.own(session).__dict__ | fields)
    name = session.identity, session.session_id
    await store.create_session(session.model_copy(deep=True))
    for when in ("after create", "after an update that names them"):
        if found := difference(await store.get_session(*name), session):
            raise Violation(f"{when} get_session returned {found}", should="return every admitted value unchanged")
        await store.update_session(*name, fields)
    await store.remove_session(*name)


@measures("RT-7", at_most=1, session=sessions())
async def test_moments_that_the_source_names_survive(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    for moment in trial.constants.around(0, LATEST_MOMENT_MS):
        each = session.model_copy(update={"session_id": trial.session_id(f"{moment}"), "created_at": moment})
        await store.create_session(each)
        if found := difference(await store.get_session(each.identity, each.session_id), each):
            raise Violation(f"get_session returned {found}", should="keep created_at to the millisecond")


@measures("ID-3", at_most=1, template=sessions())
async def test_names_that_the_source_names_are_kept_apart(trial: Trial, template: SessionData) -> None:
    pairs = [pair for text in trial.constants.texts if not text.isidentifier() for pair in joined_by(text)]
    for length in trial.constants.around(2, LONGEST_NAME - 40):
        one, other = of_length(length - 1) + "a", of_length(length - 1) + "b"
        pairs += [((one, "s"), (other, "s2")), (("alice", one), ("alice", other))]
    for pair in pairs:
        trial.begin()
        await keep_apart(trial, [(trial.identity(one), trial.session_id(other)) for one, other in pair], template)


@measures("ID-3", at_most=1, template=sessions())
async def test_whole_names_that_the_source_names_are_kept_apart(trial: Trial, template: SessionData) -> None:
    """In a store of their own, without the example's mark: a name may be compared as a whole."""
    async with trial.another_store() as harness:
        store = await trial.open(*trial.usual_keys, name="another_store", harness=harness)
        names = [(text, f"s{number}") for number, text in enumerate(trial.constants.texts)]
        names += [(f"i{number}", text) for number, text in enumerate(trial.constants.texts)]
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


@measures("ID-6", at_most=1, session=sessions())
async def test_listings_are_complete_at_counts_that_the_source_names(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    identity = session.identity
    created: set[str] = set()
    for count in trial.constants.around(2, trial.tier.listed):
        more = await create_many(trial, store, session, count - len(created), first=len(created))
        created |= {each.session_id for each in more}
        for method in (store.get_identity_mcp_sessions, store.get_identity_sessions_data):
            ids = [each if isinstance(each, str) else each.session_id for each in await method(identity)]
            if sorted(ids) != sorted(created):
                found = f"{len(ids)} sessions, {len(set(ids))} of them different"
                raise Violation(f"{method.__name__} returned {found}", should=f"be all {count}, each once")


@measures("EX-9", waits=True, at_most=1, session=sessions())
async def test_ttls_that_the_source_names_are_kept_as_given(trial: Trial, session: SessionData) -> None:
    if not trial.can(Capability.CLOCK):
        return trial.leave_out("the ttls that the store's source names, which need CLOCK")
    store = await trial.store()
    for ttl, renewed in product(trial.constants.around(1, LONGEST_TTL), (False, True)):
        trial.begin()
        each = trial.own(session)
        name = each.identity, each.session_id
        await store.create_session(each, 5 if renewed else ttl)
        if renewed:
            await store.update_session(*name, {"active": True}, ttl)
        born = trial.now()
        await trial.pass_time(ttl - JUST_BEFORE)
        await must_be_live(trial, store, each, until=born + ttl)
        await trial.pass_time(JUST_BEFORE + ROUNDING)
        await must_be_gone(store, each, why=f"its TTL of {ttl} s has passed")
        await store.remove_session(*name)
    return None
