"""Checks of the arguments of a store's calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest

from reference_backends import InvalidSessionError, SessionData
from reference_backends.core.validation import (
    LONGEST_TTL,
    check_changes,
    check_identity,
    check_names,
    check_session,
    check_ttl,
)

Build = Callable[..., SessionData]


@pytest.mark.parametrize("ttl", [1, 0.001, 43200, 3_155_760_000, 3_155_760_000.0])
def test_a_ttl_is_seconds_up_to_a_hundred_years(ttl: float) -> None:
    assert check_ttl(ttl) == ttl


@pytest.mark.parametrize(
    "ttl",
    [0, 0.0, -1, math.nan, math.inf, -math.inf, LONGEST_TTL + 1, 10**400, True, False, "60", None, [60], Fraction(1)],
)
def test_any_other_ttl_is_refused(ttl: object) -> None:
    with pytest.raises(InvalidSessionError, match="ttl must be"):
        check_ttl(ttl)


@pytest.mark.parametrize("name", ["", "a" * 256, "a\0", "\ud800", None, 1, b"a"])
def test_names_that_no_session_can_have_are_refused(name: object) -> None:
    with pytest.raises(InvalidSessionError, match="identity"):
        check_identity(name)
    with pytest.raises(InvalidSessionError, match="identity"):
        check_names(name, "s")
    with pytest.raises(InvalidSessionError, match="session_id") as caught:
        check_names("i", name)
    assert caught.value.__context__ is None


def test_a_session_is_validated_anew(session: Build) -> None:
    built = session(tokens={"a": 1})
    copy = check_session(built)
    assert copy == built
    assert copy.tokens is not built.tokens
    assert built.tokens is not None
    built.tokens["a"] = math.nan
    with pytest.raises(InvalidSessionError):
        check_session(built)


@pytest.mark.parametrize("value", [None, {}, "s", {"session_id": "s"}])
def test_only_a_session_is_a_session(value: object) -> None:
    with pytest.raises(InvalidSessionError, match="takes a SessionData"):
        check_session(value)


@pytest.mark.parametrize(
    "changes",
    [
        {"server_name": "n"},
        {"server_name": None, "tokens": None, "headers": None, "client_information": None, "code_verifier": None},
        {"tokens": {"a": [1]}, "active": False, "created_at": 0},
        {},
    ],
)
def test_changes_keep_exactly_the_named_fields(changes: dict[str, Any]) -> None:
    assert check_changes(MappingProxyType(changes)) == changes


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": "bob"},
        {"session_id": "s2"},
        {"identity": None},
        {"server_url": None},
        {"transport_type": None},
        {"callback_url": None},
        {"created_at": None},
        {"tokens": []},
        {"headers": {"a": 1}},
        {"active": 1},
        {"serverName": "camel"},
        {"nonsense": 1},
        {1: 2},
        [("server_name", "n")],
        None,
    ],
)
def test_other_changes_are_refused(changes: object) -> None:
    with pytest.raises(InvalidSessionError):
        check_changes(changes)


def test_changes_are_copied() -> None:
    tokens = {"scopes": ["a"]}
    named = check_changes({"tokens": tokens})
    tokens["scopes"].append("b")
    assert named == {"tokens": {"scopes": ["a"]}}
