"""RT · round trip: what was stored comes back, in every field, and belongs to the store alone."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from itertools import product
from typing import Any

from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.edge_cases import (
    EDGE_CASE_JSON,
    EDGE_CASE_TEXTS,
    EDGE_CASES,
    EMPTY,
    FILLED,
    MOMENTS,
    TEXT_FIELDS,
    naming_moments,
)
from pytest_mcp_storage.oracle.generators import (
    ABSENT,
    changes,
    json_values,
    moments,
    sessions,
    sessions_of_every_shape,
    texts,
)
from pytest_mcp_storage.oracle.limits import DEEPEST_NESTING, LONGEST_NAME
from pytest_mcp_storage.spec.comparison import difference, first_difference
from reference_backends import SessionData

MIB = 1024 * 1024
LONG_TEXT = 70_000
"""Characters; more than a column with two-byte lengths holds."""
DEFACED = "defaced"


@clause_test("RT-1", session=sessions_of_every_shape(), sealed=every(False, True))
async def test_get_returns_what_was_created(context: TestContext, session: SessionData, sealed: bool) -> None:
    store = await context.store(sealed=sealed)
    await store.get_session(session.identity, session.session_id)  # a cache has that one now
    await store.create_session(session.model_copy(deep=True))  # which the store may alter, and not what is expected
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, session):
        raise Violation(f"get_session returned {found}", should="equal what was created, in every field")


@clause_test("RT-1", at_most=1, session=sessions_of_every_shape())
async def test_every_field_comes_back(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    filled = session.model_copy(update=FILLED)
    await store.create_session(filled.model_copy(deep=True))
    if found := difference(await store.get_session(filled.identity, filled.session_id), filled):
        raise Violation(f"get_session returned {found}", should="equal what was created, in every field")


@clause_test("RT-1", waits=True, at_most=2, session=sessions(), sealed=every(False, True))
async def test_no_moment_that_passes_changes_what_names_it(
    context: TestContext, session: SessionData, sealed: bool
) -> None:
    store = await context.store(sealed=sealed)
    ttl = context.ttl(3_600) + 2
    until = context.now() + ttl
    session = session.model_copy(update=naming_moments(context.environment.time.epoch() + ttl / 4, int(ttl / 4)))
    await store.create_session(session, ttl)
    for _ in range(2):
        seen = await store.get_session(session.identity, session.session_id)
        if context.now() < until and (found := difference(seen, session)):
            raise Violation(f"get_session returned {found}", should="return what was created")
        await context.pass_time(ttl / 2)


@clause_test("RT-2", session=sessions_of_every_shape(), sealed=every(False, True))
async def test_absent_empty_false_and_none_stay_apart(context: TestContext, session: SessionData, sealed: bool) -> None:
    store = await context.store(sealed=sealed)
    variants = [
        session.model_copy(update={**shape, "session_id": f"{number}{session.session_id}"})
        for number, shape in enumerate((ABSENT, EMPTY, FILLED))
    ]
    for variant in variants:
        await store.create_session(variant)
    for variant in variants:
        seen = await store.get_session(variant.identity, variant.session_id)
        if found := difference(seen, variant):
            raise Violation(f"get_session returned {found}", should="keep absent and empty apart, False and None too")


@clause_test(
    "RT-3", session=sessions_of_every_shape(), value=json_values(12), text=texts(60), sealed=every(False, True)
)
async def test_every_text_and_json_value_survives(
    context: TestContext, session: SessionData, value: Any, text: str, sealed: bool
) -> None:
    store = await context.store(sealed=sealed)
    filled = SessionData.model_validate(
        session.__dict__
        | {
            "server_name": text,
            "headers": {text: text},
            "tokens": {"access_token": text, "more": value, text: [value, {}, [], {"__proto__": value}]},
            "client_information": {"more": value, "list": [], "object": {}},
        }
    )
    await store.create_session(filled)
    seen = await store.get_session(filled.identity, filled.session_id)
    if found := difference(seen, filled):
        raise Violation(f"get_session returned {found}", should="return every admitted value unchanged")


@clause_test("RT-3", at_most=1, session=sessions_of_every_shape())
async def test_every_awkward_text_survives_in_every_field(context: TestContext, session: SessionData) -> None:
    for number, (text, sealed) in enumerate(product(EDGE_CASE_TEXTS, (True, False))):
        store = await context.store(sealed=sealed)
        filled = SessionData.model_validate(
            session.__dict__
            | dict.fromkeys(TEXT_FIELDS, text)
            | {
                "session_id": f"{number}{session.session_id}",
                "headers": {text: text, "X-Spaced": f" {text} "},
                "client_information": {text: [text]},
                "tokens": {text: [text, f" {text} "]},
            }
        )
        await store.create_session(filled)
        if found := difference(await store.get_session(filled.identity, filled.session_id), filled):
            raise Violation(f"get_session returned {found}", should="return the text as it was")


@clause_test("RT-3", at_most=1, session=sessions_of_every_shape())
async def test_a_long_text_survives_in_every_field(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    text = "0123456789é👩" * (LONG_TEXT // 12)
    objects = {key: {"k": text, text: "v"} for key in ("headers", "client_information", "tokens")}
    long = session.model_copy(update={**dict.fromkeys(TEXT_FIELDS, text), **objects})
    await store.create_session(long)
    if found := difference(await store.get_session(long.identity, long.session_id), long):
        raise Violation(f"get_session returned {found}", should=f"return all {len(text)} characters")


@clause_test("RT-3", at_most=1, session=sessions_of_every_shape())
async def test_every_awkward_value_survives(context: TestContext, session: SessionData) -> None:
    objects = {"tokens": EDGE_CASE_JSON, "client_information": EDGE_CASE_JSON}
    for sealed in (True, False):
        store = await context.store(sealed=sealed)
        edge_case = session.model_copy(update={**objects, "session_id": f"{sealed}{session.session_id}"})
        await store.create_session(edge_case)
        for _ in range(2):
            if found := difference(await store.get_session(edge_case.identity, edge_case.session_id), edge_case):
                raise Violation(f"get_session returned {found}", should="return the values as they were")
            await store.update_session(edge_case.identity, edge_case.session_id, objects)


@clause_test("RT-3", at_most=1, session=sessions_of_every_shape())
async def test_the_longest_names_survive(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    for letter in "aé👩":
        text = letter * LONGEST_NAME
        names = context.identity(text)[:LONGEST_NAME], context.session_id(text)[-LONGEST_NAME:]
        longest = SessionData.model_validate({**session.__dict__, "identity": names[0], "session_id": names[1]})
        await store.create_session(longest)
        if found := difference(await store.get_session(*names), longest):
            doing = f"get_session with two names of {LONGEST_NAME} characters {letter!r}"
            raise Violation(f"{doing} returned {found}", should="find the session")
        if (ids := await store.get_identity_mcp_sessions(names[0])) != [names[1]]:
            doing = f"the listing of an identity of {LONGEST_NAME} characters {letter!r}"
            raise Violation(f"{doing} is {ids}", should="hold its session")


@clause_test("RT-3", at_most=2, session=sessions_of_every_shape(), sealed=every(False, True))
async def test_the_deepest_nesting_survives(context: TestContext, session: SessionData, sealed: bool) -> None:
    store = await context.store(sealed=sealed)
    value = _nested(DEEPEST_NESTING - 1)
    deep = SessionData.model_validate(session.__dict__ | {"tokens": {"in": value}, "client_information": {"in": value}})
    await store.create_session(deep)
    name = deep.identity, deep.session_id
    for seen in await store.get_session(*name), *await store.get_identity_sessions_data(deep.identity):
        if found := difference(seen, deep):
            raise Violation(f"a read returned {found}", should=f"return all {DEEPEST_NESTING} levels unchanged")


@clause_test("RT-4", session=sessions_of_every_shape(), first=changes(1), second=changes(1), sealed=every(False, True))
async def test_the_other_fields_survive_an_update(
    context: TestContext, session: SessionData, first: dict[str, Any], second: dict[str, Any], sealed: bool
) -> None:
    store = await context.store(sealed=sealed)
    await store.create_session(session)
    expected = session
    for named in (first, second):
        await store.update_session(session.identity, session.session_id, named)
        expected = expected.model_copy(update=named)
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, expected):
        raise Violation(f"after updates of other fields get_session returned {found}", should="keep it unchanged")


@clause_test("RT-4", at_most=1, session=sessions_of_every_shape())
async def test_every_field_survives_an_update_of_every_other(context: TestContext, session: SessionData) -> None:
    shapes = (FILLED, True), (EMPTY, False), (ABSENT, True), (EDGE_CASES, True), (EDGE_CASES, False)
    for number, (shape, sealed) in enumerate(shapes):
        store = await context.store(sealed=sealed)
        before = session.model_copy(update={**shape, "session_id": f"{number}{session.session_id}"})
        name = before.identity, before.session_id
        await store.create_session(before)
        for field, value in product(FILLED, (EMPTY, FILLED, shape)):
            await store.update_session(*name, {field: value[field]})
            after = before.model_copy(update={field: value[field]})
            if found := difference(await store.get_session(*name), after):
                raise Violation(f"after an update of {field} get_session returned {found}", should="keep the others")


@clause_test("RT-4", at_most=1, session=sessions_of_every_shape())
async def test_what_is_large_survives_an_update_of_another_field(context: TestContext, session: SessionData) -> None:
    store = await context.store()
    large = session.model_copy(
        update={
            "server_url": "é" * LONG_TEXT,
            "tokens": {"access_token": "x" * MIB},
            "client_information": {"in": _nested(DEEPEST_NESTING - 1), "scope": "read write " * (MIB // 11)},
        }
    )
    name = large.identity, large.session_id
    await store.create_session(large)
    await store.update_session(*name, {"server_name": "updated"})
    if found := difference(await store.get_session(*name), large.model_copy(update={"server_name": "updated"})):
        raise Violation(f"after an update of server_name get_session returned {found}", should="keep the others")


@clause_test("RT-5", at_most=2, session=sessions(), sealed=every(False, True))
async def test_a_session_of_two_mebibytes_survives(context: TestContext, session: SessionData, sealed: bool) -> None:
    store = await context.store(sealed=sealed)
    large = SessionData.model_validate(
        session.__dict__
        | {
            "tokens": {"access_token": "né👩‍👩‍👧" * (MIB // 24), "id_token": "x" * (MIB // 2)},
            "client_information": {"redirect_uris": [f"https://app.example/{n:0>1000}" for n in range(1024)]},
        }
    )
    name = large.identity, large.session_id
    await store.create_session(large)
    for _ in range(2):
        for seen in await store.get_session(*name), *await store.get_identity_sessions_data(large.identity):
            if found := difference(seen, large):
                raise Violation(f"a read returned {found}", should="return all 2 MiB unchanged")
        objects = {"tokens": large.tokens, "client_information": large.client_information}
        await store.update_session(*name, {"tokens": None, "client_information": None})
        await store.update_session(*name, objects)


@clause_test("RT-6", at_most=10, session=sessions(), sealed=every(False, True))
async def test_the_store_shares_nothing_with_its_caller(
    context: TestContext, session: SessionData, sealed: bool
) -> None:
    store = await context.store(sealed=sealed)
    name = session.identity, session.session_id

    def objects() -> dict[str, Any]:
        nested = {"a": {"b": [1, {"c": []}], "d": [[2]]}}
        return {"tokens": deepcopy(nested), "client_information": deepcopy(nested), "headers": {"h": "v"}}

    async def handed_out() -> list[Any]:
        read = [await store.get_session(*name), await store.get_identity_sessions_data(name[0])]
        all_ids = await store.get_all_session_ids() if context.store_is_ours else [name[1]]
        return [*read, await store.get_identity_mcp_sessions(name[0]), all_ids]

    created, updated = session.model_copy(update=objects()), objects()
    expected = session.model_copy(update=objects())
    for write, given in ((store.create_session, (created,)), (store.update_session, (*name, updated))):
        await write(*given)
        _deface(given[-1])
        for doing in ("what it had passed in", "what was handed out"):
            got, listed, ids, all_ids = seen = await handed_out()
            if found := difference(got, expected) or first_difference(ids, [name[1]], "the listing of ids"):
                raise Violation(f"after the caller changed {doing} a read returned {found}", should="not notice")
            if len(listed) != 1 or (found := difference(listed[0], expected)):
                raise Violation(f"after the caller changed {doing} the listing is {listed}", should="not notice")
            if DEFACED in all_ids or all_ids.count(name[1]) != 1:
                raise Violation(f"after the caller changed {doing} all ids are {all_ids}", should="not notice")
            for each in seen:
                _deface(each)


@clause_test("RT-7", at_most=20, session=sessions(), moment=moments(), sealed=every(False, True))
async def test_created_at_is_kept_to_the_millisecond(
    context: TestContext, session: SessionData, moment: int, sealed: bool
) -> None:
    store = await context.store(sealed=sealed)
    for number, created_at in enumerate((moment, *MOMENTS)):
        dated = session.model_copy(update={"session_id": f"{number}{session.session_id}", "created_at": created_at})
        await store.create_session(dated)
        seen = await store.get_session(dated.identity, dated.session_id)
        if seen is None or seen.created_at != created_at:
            shown = seen and seen.created_at
            raise Violation(f"get_session returned created_at = {shown} in place of {created_at}", should="be exact")


def _nested(levels: int) -> Any:
    """Return a value at this depth inside of lists and objects."""
    value: Any = "leaf"
    for level in range(levels):
        value = {"in": value} if level % 2 else [value]
    return value


def _deface(value: Any) -> None:
    """Change every mutable object inside a value, in place."""
    if isinstance(value, SessionData):
        for field in vars(value).values():
            _deface(field)
    elif isinstance(value, dict):
        for item in value.values():
            _deface(item)
        with suppress(TypeError, AttributeError):  # what can't be changed can't be shared by mistake
            value[DEFACED] = DEFACED
    elif isinstance(value, list):
        for item in value:
            _deface(item)
        with suppress(TypeError, AttributeError):
            value.append(DEFACED)
