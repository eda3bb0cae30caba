"""SessionData: what it accepts, what it refuses, and what it never shows."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from reference_backends import InvalidSessionError, SessionData, SessionUpdate
from reference_backends.core.session import FIELDS, IDENTIFYING

Build = Callable[..., SessionData]

SECRET = "s3cr3t-canary"

REFUSED: list[tuple[str, Any]] = [
    ("session_id", ""),
    ("session_id", SECRET * 30),
    ("identity", ""),
    ("identity", f"{SECRET}\0"),
    ("identity", 7),
    ("server_url", None),
    ("server_url", f"{SECRET}\ud800"),
    ("server_name", f"\0{SECRET}"),
    ("transport_type", SECRET),
    ("callback_url", SECRET.encode()),
    ("created_at", -1),
    ("created_at", 253402300800000),
    ("created_at", 1.5),
    ("created_at", "0"),
    ("created_at", True),
    ("headers", {SECRET: 1}),
    ("headers", [SECRET]),
    ("active", SECRET),
    ("active", 1),
    ("tokens", [SECRET]),
    ("tokens", {SECRET: float("nan")}),
    ("tokens", {SECRET: 2**53}),
    ("tokens", {"a": {SECRET: b""}}),
    ("client_information", SECRET),
    ("client_information", {"client_secret": f"enc:{SECRET}"}),
    ("code_verifier", f"enc:{SECRET}"),
    ("code_verifier", 1),
    ("client_id", {SECRET: SECRET}),
    (SECRET, SECRET),
    (f"{SECRET}\ud800", SECRET),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_refusals_are_typed_and_show_nothing(session: Build, field: str, value: object) -> None:
    with pytest.raises(InvalidSessionError) as caught:
        session(**{field: value})
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert SECRET not in "".join(traceback.format_exception_only(error))


@pytest.mark.parametrize("key", [(SECRET,), SECRET.encode(), 7])
def test_a_field_that_is_no_text_is_not_repeated(session: Build, key: object) -> None:
    with pytest.raises(InvalidSessionError, match="an unknown field") as caught:
        SessionData.model_validate({**session().model_dump(), key: SECRET})
    assert SECRET not in str(caught.value)


def test_a_mapping_of_texts_is_refused_like_any_other(session: Build) -> None:
    with pytest.raises(InvalidSessionError, match="created_at"):
        SessionData.model_validate_strings({**session().model_dump(exclude_none=True), "created_at": SECRET})


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InvalidSessionError, match=r"serverUrl|server_url"):
        SessionData.model_validate({"session_id": "s", "identity": "i"})


def test_a_misspelt_field_gets_a_hint(session: Build) -> None:
    with pytest.raises(InvalidSessionError, match="is 'tokens' meant"):
        session(token={"a": SECRET})


def test_no_name_of_a_field_is_in_the_way(session: Build) -> None:
    for name in ("build", "values", "obj", "self"):
        with pytest.raises(InvalidSessionError, match="unknown field"):
            SessionData.model_validate({**session().model_dump(), name: 1})
    with pytest.raises(InvalidSessionError, match="unknown field"):
        session(build=1)


@pytest.mark.parametrize("data", [None, [], "text", 1])
def test_what_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(InvalidSessionError):
        SessionData.model_validate(data)


def test_either_spelling_of_a_name_is_taken(session: Build) -> None:
    snake = session(tokens={"a": 1}, code_verifier="v", client_information={"client_id": "c"})
    camel = snake.model_dump(by_alias=True)
    assert camel["sessionId"] == "s1"
    assert camel["clientInformation"] == {"client_id": "c"}
    assert SessionData(**camel) == snake
    assert SessionData.model_validate(camel) == snake
    assert SessionData.model_validate(snake.model_dump()) == snake
    assert SessionData.model_validate_json(json.dumps(camel)) == snake
    with pytest.raises(InvalidSessionError) as caught:
        SessionData.model_validate_json(f'{{"tokens": "{SECRET}"}}')
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("created_at", [0, 1, 253402300799999])
def test_moments_up_to_the_year_9999(session: Build, created_at: int) -> None:
    assert session(created_at=created_at).created_at == created_at


def test_absent_empty_and_false_differ(session: Build) -> None:
    assert session().tokens is None
    assert session(tokens={}).tokens == {}
    assert session(active=False).active is False
    assert session(active=None).active is None


def test_repr_and_str_show_no_secret(session: Build) -> None:
    shown = session(
        tokens={"access_token": SECRET},
        headers={"Authorization": SECRET},
        code_verifier=SECRET,
        client_information={"client_secret": SECRET},
    )
    assert SECRET not in repr(shown) + str(shown) + f"{[shown]}"
    assert "alice" in repr(shown)


def test_objects_are_copied_in(session: Build) -> None:
    tokens: dict[str, Any] = {"scopes": ["a"]}
    built = session(tokens=tokens)
    tokens["scopes"].append("b")
    assert built.tokens == {"scopes": ["a"]}


def test_it_is_immutable(session: Build) -> None:
    built = session()
    with pytest.raises(ValidationError):
        built.identity = "bob"


def test_it_can_be_pickled(session: Build) -> None:
    built = session(tokens={"a": [1]})
    assert pickle.loads(pickle.dumps(built)) == built


def test_an_update_names_every_field_that_may_change() -> None:
    assert set(SessionUpdate.__annotations__) == FIELDS - IDENTIFYING


def test_a_session_from_validated_fields_equals_a_validated_one_and_shares_nothing(session: Build) -> None:
    built = session(tokens={"scopes": ["a", {"b": [1]}]}, headers={"A": "b"}, active=False)
    fields = {field: getattr(built, field) for field in built.model_fields_set}
    recalled = SessionData.from_validated(fields)
    assert recalled == built
    assert repr(recalled) == repr(built)
    assert recalled.model_dump() == built.model_dump()
    assert recalled.model_dump(by_alias=True, exclude_unset=True) == built.model_dump(by_alias=True, exclude_unset=True)
    assert pickle.loads(pickle.dumps(recalled)) == built
    assert recalled.model_copy(update={"server_name": "n"}).server_name == "n"
    assert recalled.code_verifier is None
    assert recalled.tokens is not None
    recalled.tokens["scopes"][1]["b"].append(2)
    assert built.tokens == {"scopes": ["a", {"b": [1]}]}
    with pytest.raises(ValidationError):
        recalled.identity = "bob"
