"""RT · round trip: what was stored comes back, in every field, and belongs to the store alone."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.measuring.comparison import difference
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation
from pytest_mcp_storage.oracle.limits import DEEPEST_NESTING, LATEST_MOMENT_MS, LONGEST_NAME
from pytest_mcp_storage.oracle.strategies import (
    AWKWARD_NUMBERS,
    AWKWARD_TEXTS,
    changes,
    json_values,
    moments,
    sessions,
    texts,
)
from reference_backends import SessionData

MIB = 1024 * 1024


@measures("RT-1", session=sessions(), sealed=st.booleans())
async def test_get_returns_what_was_created(trial: Trial, session: SessionData, sealed: bool) -> None:
    store = await trial.store(sealed=sealed)
    await store.create_session(session)
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, session):
        raise Violation(f"get_session returned {found}", should="equal what was created, in every field")


@measures("RT-2", session=sessions(), sealed=st.booleans())
async def test_absent_empty_false_and_none_stay_apart(trial: Trial, session: SessionData, sealed: bool) -> None:
    store = await trial.store(sealed=sealed)
    shapes: tuple[dict[str, Any], ...] = (
        {"headers": None, "tokens": None, "client_information": None, "code_verifier": None, "active": None},
        {"headers": {}, "tokens": {}, "client_information": {}, "code_verifier": "", "active": False},
        {"server_id": "", "server_name": None, "client_id": "", "active": True},
    )
    variants = [
        session.model_copy(update={**shape, "session_id": f"{number}{session.session_id}"})
        for number, shape in enumerate(shapes)
    ]
    for variant in variants:
        await store.create_session(variant)
    for variant in variants:
        seen = await store.get_session(variant.identity, variant.session_id)
        if found := difference(seen, variant):
            raise Violation(f"get_session returned {found}", should="tell absent from empty, and False from None")


@measures("RT-3", session=sessions(), value=json_values(12), text=texts(60), sealed=st.booleans())
async def test_every_text_and_json_value_survives(
    trial: Trial, session: SessionData, value: Any, text: str, sealed: bool
) -> None:
    store = await trial.store(sealed=sealed)
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


@measures("RT-3", at_most=1, session=sessions())
async def test_every_awkward_text_survives(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    for number, text in enumerate(AWKWARD_TEXTS):
        named = {
            "session_id": f"{number}{session.session_id}",
            "server_name": text,
            "tokens": {text: [text, f" {text} "]},
        }
        filled = SessionData.model_validate({**session.__dict__, **named})
        await store.create_session(filled)
        seen = await store.get_session(filled.identity, filled.session_id)
        if found := difference(seen, filled):
            raise Violation(f"get_session returned {found}", should="return the text as it was")


@measures("RT-3", at_most=1, session=sessions())
async def test_every_awkward_number_survives(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    named = {"tokens": {"numbers": list(AWKWARD_NUMBERS)}, "client_information": {"numbers": list(AWKWARD_NUMBERS)}}
    await store.create_session(SessionData.model_validate({**session.__dict__, **named}))
    for _ in range(2):
        seen = await store.get_session(session.identity, session.session_id)
        if found := difference(seen, session.model_copy(update=named)):
            raise Violation(f"get_session returned {found}", should="return the numbers as they were")
        await store.update_session(session.identity, session.session_id, named)


@measures("RT-3", at_most=1, session=sessions())
async def test_the_longest_names_survive(trial: Trial, session: SessionData) -> None:
    store = await trial.store()
    for letter in "aé👩":
        text = letter * LONGEST_NAME
        names = trial.identity(text)[:LONGEST_NAME], trial.session_id(text)[-LONGEST_NAME:]
        longest = SessionData.model_validate({**session.__dict__, "identity": names[0], "session_id": names[1]})
        await store.create_session(longest)
        if found := difference(await store.get_session(*names), longest):
            doing = f"get_session with two names of {LONGEST_NAME} characters {letter!r}"
            raise Violation(f"{doing} returned {found}", should="find the session")
        if (ids := await store.get_identity_mcp_sessions(names[0])) != [names[1]]:
            doing = f"the listing of an identity of {LONGEST_NAME} characters {letter!r}"
            raise Violation(f"{doing} is {ids}", should="hold its session")


@measures("RT-3", at_most=2, session=sessions(), sealed=st.booleans())
async def test_the_deepest_nesting_survives(trial: Trial, session: SessionData, sealed: bool) -> None:
    store = await trial.store(sealed=sealed)
    value: Any = "leaf"
    for level in range(DEEPEST_NESTING - 1):
        value = {"in": value} if level % 2 else [value]
    deep = SessionData.model_validate(session.__dict__ | {"tokens": {"in": value}, "client_information": {"in": value}})
    await store.create_session(deep)
    seen = await store.get_session(deep.identity, deep.session_id)
    if found := difference(seen, deep):
        raise Violation(f"get_session returned {found}", should=f"return all {DEEPEST_NESTING} levels unchanged")


@measures("RT-4", session=sessions(), first=changes(1), second=changes(1), sealed=st.booleans())
async def test_the_other_fields_survive_an_update(
    trial: Trial, session: SessionData, first: dict[str, Any], second: dict[str, Any], sealed: bool
) -> None:
    store = await trial.store(sealed=sealed)
    await store.create_session(session)
    expected = session
    for named in (first, second):
        await store.update_session(session.identity, session.session_id, named)
        expected = expected.model_copy(update=named)
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, expected):
        raise Violation(f"after updates of other fields get_session returned {found}", should="keep it unchanged")


@measures("RT-5", at_most=2, session=sessions(), sealed=st.booleans())
async def test_a_session_of_two_mebibytes_survives(trial: Trial, session: SessionData, sealed: bool) -> None:
    store = await trial.store(sealed=sealed)
    large = SessionData.model_validate(
        session.__dict__
        | {
            "tokens": {"access_token": "né👩‍👩‍👧" * (MIB // 24), "id_token": "x" * (MIB // 2)},
            "client_information": {"redirect_uris": [f"https://app.example/{n:0>1000}" for n in range(1024)]},
        }
    )
    await store.create_session(large)
    seen = await store.get_session(large.identity, large.session_id)
    if found := difference(seen, large):
        raise Violation(f"get_session returned {found}", should="return all 2 MiB unchanged")


@measures("RT-6", session=sessions(), named=changes(), sealed=st.booleans())
async def test_the_store_shares_nothing_with_its_caller(
    trial: Trial, session: SessionData, named: dict[str, Any], sealed: bool
) -> None:
    store = await trial.store(sealed=sealed)
    rich = session.model_copy(update={"tokens": {"a": {"b": [1, {"c": []}]}}, "headers": {"h": "v"}})
    named = {"client_information": {"c": {"d": [2, {"e": []}]}}, **named}
    expected = SessionData.model_validate({**rich.__dict__, **named})
    await store.create_session(rich)
    await store.update_session(rich.identity, rich.session_id, named)
    _deface_objects(rich)
    _deface(named)
    handed_out = [await store.get_session(rich.identity, rich.session_id)]
    handed_out += await store.get_identity_sessions_data(rich.identity)
    for seen in handed_out:
        if found := difference(seen, expected):
            raise Violation(f"after the caller changed its own objects a read returned {found}", should="not notice")
        _deface_objects(seen)
    seen = await store.get_session(rich.identity, rich.session_id)
    if found := difference(seen, expected):
        raise Violation(
            f"after the caller changed what was handed out get_session returned {found}", should="not notice"
        )


@measures("RT-7", session=sessions(), moment=moments(), sealed=st.booleans())
async def test_created_at_is_kept_to_the_millisecond(
    trial: Trial, session: SessionData, moment: int, sealed: bool
) -> None:
    store = await trial.store(sealed=sealed)
    for number, created_at in enumerate((moment, 0, LATEST_MOMENT_MS)):
        dated = session.model_copy(update={"session_id": f"{number}{session.session_id}", "created_at": created_at})
        await store.create_session(dated)
        seen = await store.get_session(dated.identity, dated.session_id)
        if seen is None or seen.created_at != created_at:
            shown = seen and seen.created_at
            raise Violation(f"get_session returned created_at = {shown} in place of {created_at}", should="be exact")


def _deface_objects(session: SessionData | None) -> None:
    """Change every object that a session holds, in place."""
    for value in vars(session).values() if session else ():
        _deface(value)


def _deface(value: Any) -> None:
    """Change every object inside a value, in place."""
    if isinstance(value, dict):
        for item in value.values():
            _deface(item)
        value["defaced"] = "defaced"
    elif isinstance(value, list):
        for item in value:
            _deface(item)
        value.append("defaced")
