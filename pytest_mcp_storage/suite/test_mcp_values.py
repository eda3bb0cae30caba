"""RT · values: every entry of the catalogue, in each place that it can have, by a pairwise design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.edge_cases import FILLED, TEXT_FIELDS
from pytest_mcp_storage.oracle.generators import ABSENT, has_clear_secret, sessions
from pytest_mcp_storage.oracle.value_catalogue import ALL_MOMENTS, CLIENT_SECRETS, COUNTS, OBJECTS, TEXTS
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from reference_backends import SessionData

AT_ONCE = 24
"""Sessions of one identity, which one listing reads."""


class Place(NamedTuple):
    """How an entry is written: sealed or in clear, by a create or an update, and by which handle it is read."""

    sealed: bool
    updated: bool
    other: bool


PLACES = tuple(Place(*each) for each in product((True, False), repeat=3))
"""Opposite places are opposite in the order too: an entry that has both meets each property and its contrary."""


def rows() -> Iterator[dict[str, Any]]:
    """Yield fields that hold the entries in turn: each text comes to every text field, each object to both objects."""
    for number in range(max(len(TEXTS), len(OBJECTS))):
        texts = [TEXTS[(number + shift) % len(TEXTS)] for shift in range(len(TEXT_FIELDS) + 2)]
        fields: dict[str, Any] = dict(zip(TEXT_FIELDS, texts, strict=False))
        if fields["code_verifier"].startswith("enc:"):
            fields["code_verifier"] = None
        tokens, information = (OBJECTS[(number + shift) % len(OBJECTS)] for shift in range(2))
        fields["tokens"] = tokens if number % 2 else {**tokens, "access_token": texts[-1], "in": [tokens]}
        fields["client_information"] = (
            information if number % 2 == 0 else {"in": {"out": information}, texts[-2]: texts[-1]}
        )
        if not has_clear_secret(fields["client_information"]):
            fields["client_information"] = None
        fields["headers"] = {texts[-1]: texts[-2], "X-One": texts[0]} if number % 4 else {texts[-1]: texts[-1]}
        yield fields


@clause_test("RT-3", at_most=1, session=sessions())
async def test_every_value_of_the_catalogue_survives(context: TestContext, session: SessionData) -> None:
    """Write each entry in two opposite places, so that it meets each property; neighbours share the others."""
    entries = [*rows()]
    designs = [
        (fields, PLACES[number % 4 if half else 7 - number % 4])
        for half in range(2)
        for number, fields in enumerate(entries)
    ]
    for place in PLACES:
        mine = [fields for fields, its in designs if its == place]
        for start in range(0, len(mine), AT_ONCE):
            await _survive(context, session, mine[start : start + AT_ONCE], place)
    context.notes.append(
        f"tried {len(TEXTS)} texts and {len(OBJECTS)} objects of the catalogue, each sealed and in clear, by create "
        "and by update, read by get_session and by the listing"
    )


async def _survive(context: TestContext, session: SessionData, entries: Sequence[dict[str, Any]], place: Place) -> None:
    """Write sessions with these fields, and compare what ``get_session`` and the listing return."""
    context.begin()
    store = await context.store(sealed=place.sealed)
    reader = await _reader(context, store, place)
    written: dict[str, SessionData] = {}
    identity = context.identity("values")
    for number, fields in enumerate(entries):
        name = {"identity": identity, "session_id": context.session_id(f"v{number}")}
        whole = SessionData.model_validate(session.__dict__ | {**ABSENT, **name, **fields})
        if place.updated:
            await store.create_session(whole.model_copy(update={**FILLED, **name}))
            await store.update_session(identity, whole.session_id, {**ABSENT, **fields})
        else:
            await store.create_session(whole)
        written[whole.session_id] = whole
        if found := difference(await reader.get_session(identity, whole.session_id), whole):
            raise Violation(f"get_session returned {found}", should="return every admitted value unchanged")
    for each in await reader.get_identity_sessions_data(identity):
        if found := difference(each, written[each.session_id]):
            raise Violation(f"get_identity_sessions_data returned {found}", should="return every value unchanged")


async def _reader(context: TestContext, store: RecordingBackend, place: Place) -> RecordingBackend:
    if place.other and context.can(Capability.SHARED):
        return (await context.handles(2))[1]
    return store


@clause_test("RT-3", at_most=2, session=sessions(), sealed=every(True, False))
async def test_a_client_secret_of_any_kind_survives(context: TestContext, session: SessionData, sealed: bool) -> None:
    store = await context.store(sealed=sealed)
    for number, secret in enumerate(CLIENT_SECRETS):
        information = {"client_secret": secret, "in": {"client_secret": secret}, "list": [{"client_secret": secret}]}
        each = session.model_copy(
            update={"session_id": context.session_id(f"{number}"), "client_information": information}
        )
        name = each.identity, each.session_id
        await store.create_session(each)
        if found := difference(await store.get_session(*name), each):
            raise Violation(f"get_session returned {found}", should="return a client_secret of any kind as it was")
        information = {"list": [secret, information], "client_secret": secret}
        await store.update_session(*name, {"client_information": information})
        each = each.model_copy(update={"client_information": information})
        if found := difference(await store.get_session(*name), each):
            raise Violation(f"after an update get_session returned {found}", should="return it as it was")


@clause_test("RT-3", at_most=2, session=sessions(), sealed=every(True, False))
async def test_many_keys_and_items_survive(context: TestContext, session: SessionData, sealed: bool) -> None:
    store = await context.store(sealed=sealed)
    counts = COUNTS[:-1] if context.tier.name == "smoke" else COUNTS
    for count in counts[int(sealed) :: 2] if context.tier.name == "smoke" else counts:
        many = {f"k{number}": number for number in range(count)}
        headers = {f"h{number}": "v" for number in range(min(count, 10_001))}
        objects = {"tokens": many, "client_information": {"list": [*range(count)]}, "headers": headers}
        swapped = {"tokens": {"list": [*range(count)]}, "client_information": many}
        each = session.model_copy(update={**ABSENT, **objects, "session_id": context.session_id(f"{count}")})
        name = each.identity, each.session_id
        await store.create_session(each)
        if found := difference(await store.get_session(*name), each):
            raise Violation(f"get_session returned {found[:200]}", should=f"return all {count} keys and items")
        await store.update_session(*name, swapped)
        each = each.model_copy(update=swapped)
        for seen in await store.get_identity_sessions_data(each.identity):
            if seen.session_id == each.session_id and (found := difference(seen, each)):
                raise Violation(f"the listing returned {found[:200]}", should=f"return all {count} keys and items")
        await store.remove_session(*name)


@clause_test("RT-7", at_most=2, session=sessions(), updated=every(False, True))
async def test_every_moment_of_the_catalogue_survives(
    context: TestContext, session: SessionData, updated: bool
) -> None:
    """Write hours that wall clocks show twice, leap days, ends of ranges, and fractions that no float holds."""
    store = await context.store()
    expected: dict[str, int] = {}
    for moment in ALL_MOMENTS:
        each = session.model_copy(update={"session_id": context.session_id(f"{moment}"), "created_at": moment})
        if updated:
            await store.create_session(each.model_copy(update={"created_at": 1}))
            await store.update_session(each.identity, each.session_id, {"created_at": moment})
        else:
            await store.create_session(each)
        expected[each.session_id] = moment
        seen = await store.get_session(each.identity, each.session_id)
        if seen is None or seen.created_at != moment:
            raise Violation(f"get_session returned created_at = {seen and seen.created_at}", should=f"be {moment}")
    for each in await store.get_identity_sessions_data(session.identity):
        if each.created_at != expected.get(each.session_id, each.created_at):
            raise Violation(
                f"the listing returned created_at = {each.created_at}", should=f"be {expected[each.session_id]}"
            )
