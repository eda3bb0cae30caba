"""RT · values that the store's own source names: the lengths, counts and words that it compares with."""

from __future__ import annotations

from itertools import product
from typing import Any

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.edge_texts import around, batched, nested, of_length
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.oracle.limits import LARGEST_NUMBER, LATEST_MOMENT_MS
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
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
        await _survives(context, session, sealed, {"tokens": values, "client_information": {**values, "in": values}})
        await _survives(context, session, sealed, {"headers": {text: text for text in texts}})
    whole = [dict.fromkeys(TEXT_FIELDS, text) for text in context.constants.texts]
    parts = [dict(zip(TEXT_FIELDS, some, strict=False)) for some in batched(texts, len(TEXT_FIELDS))]
    for number, fields in enumerate(context.in_filling_time([*whole, *parts], "sessions with texts of the source")):
        await _survives(context, session, number % 2 == 0, fields)


@clause_test("RT-3", at_most=1, session=sessions())
async def test_lengths_that_the_source_names_survive(context: TestContext, session: SessionData) -> None:
    lengths = list(product((True, False), context.constants.around(1, LARGEST_VALUE)))
    for sealed, length in context.in_filling_time(lengths, "lengths that the source names"):
        text = of_length(length)
        await _survives(context, session, sealed, {"tokens": {"access_token": text}, "server_url": text})
        await _survives(context, session, sealed, {"headers": {"h": text}, "client_information": {"scope": text}})


@clause_test("RT-3", at_most=1, session=sessions())
async def test_counts_and_depths_that_the_source_names_survive(context: TestContext, session: SessionData) -> None:
    counts = list(product((True, False), context.constants.around(1, MOST_KEYS)))
    for sealed, count in context.in_filling_time(counts, "counts that the source names"):
        many = {f"k{number}": number for number in range(count)}
        await _survives(context, session, sealed, {"tokens": many, "client_information": {"list": list(many)}})
        await _survives(context, session, sealed, {"headers": dict.fromkeys(many, "v")})
        if inner := nested(count):
            await _survives(context, session, sealed, {"tokens": inner, "client_information": inner})


async def _survives(context: TestContext, session: SessionData, sealed: bool, fields: dict[str, Any]) -> None:
    context.begin()
    store = await context.store(sealed=sealed)
    other = (await context.handles(2))[1] if context.can(Capability.SHARED) and not sealed else store
    usual = context.own(session)
    special = SessionData.model_validate(usual.__dict__ | fields)
    name = usual.identity, usual.session_id
    await store.create_session(special.model_copy(deep=True))
    others = {field: FILLED[field] for field in fields}
    writes: tuple[tuple[str, SessionData, dict[str, Any]], ...] = (
        ("create", special, {}),
        ("an update that names them", special, fields),
        ("an update to usual values", usual.model_copy(update=others), others),
        ("an update back", special, fields),
    )
    for when, expected, changes in writes:
        if changes:
            await store.update_session(*name, changes)
        if found := difference(await other.get_session(*name), expected):
            raise Violation(
                f"after {when} get_session returned {found}", should="return every admitted value unchanged"
            )
    await store.remove_session(*name)


@clause_test("RT-7", at_most=1, session=sessions())
async def test_moments_that_the_source_names_survive(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    moments = context.constants.around(0, LATEST_MOMENT_MS)
    for moment in context.in_filling_time(moments, "moments that the source names"):
        each = session.model_copy(update={"session_id": context.session_id(f"{moment}"), "created_at": moment})
        await store.create_session(each)
        if found := difference(await store.get_session(each.identity, each.session_id), each):
            raise Violation(f"get_session returned {found}", should="keep created_at to the millisecond")
