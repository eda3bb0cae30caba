"""Hypothesis strategies for names, texts, JSON, sessions and TTLs, up to the limits of ``SessionData``."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.oracle.edge_cases import (
    EDGE_CASE_NAMES,
    EDGE_CASE_NUMBERS,
    EDGE_CASE_TEXTS,
    EDGE_CASES,
    EMPTY,
    FILLED,
    MOMENTS,
)
from pytest_mcp_storage.oracle.limits import LARGEST_NUMBER, LATEST_MOMENT_MS
from reference_backends import SessionData


def texts(max_size: int = 30) -> st.SearchStrategy[str]:
    """Return texts without NUL and lone surrogates."""
    alphabet = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.one_of(st.text(alphabet, max_size=max_size), st.sampled_from(EDGE_CASE_TEXTS))


def names() -> st.SearchStrategy[str]:
    """Return identities and session ids, short enough to be marked with their example."""
    alphabet = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.one_of(st.sampled_from(EDGE_CASE_NAMES), st.text(alphabet, min_size=1, max_size=20))


def numbers() -> st.SearchStrategy[int | float]:
    """Return numbers that a double keeps, up to ±(2⁵³ - 1)."""
    bound = float(LARGEST_NUMBER)
    return st.one_of(
        st.integers(-LARGEST_NUMBER, LARGEST_NUMBER),
        st.floats(-bound, bound, allow_nan=False, allow_infinity=False),
        st.sampled_from(EDGE_CASE_NUMBERS),
    )


def json_values(max_leaves: int = 6) -> st.SearchStrategy[Any]:
    """Return any JSON value within the limits."""
    leaves = st.one_of(st.none(), st.booleans(), numbers(), texts())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts(10), inner, max_size=3)),
        max_leaves=max_leaves,
    )


def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    """Return JSON objects, the empty one included."""
    return st.dictionaries(texts(10), json_values(), max_size=3)


def headers() -> st.SearchStrategy[dict[str, str]]:
    """Return mappings from text to text."""
    return st.dictionaries(texts(15), texts(), max_size=3)


def tokens() -> st.SearchStrategy[dict[str, Any]]:
    """Return OAuth tokens, and any object in their place."""
    usual = st.fixed_dictionaries(
        {"access_token": texts(), "token_type": st.just("Bearer")},
        optional={"refresh_token": texts(), "expires_in": st.integers(0, 10**6), "scope": texts()},
    )
    return st.one_of(usual, json_objects())


def has_clear_secret(information: dict[str, Any]) -> bool:
    """Say whether ``client_secret`` cannot be taken for an envelope."""
    secret = information.get("client_secret")
    return not (isinstance(secret, str) and secret.startswith("enc:"))


def client_information() -> st.SearchStrategy[dict[str, Any]]:
    """Return OAuth client information, and any object in its place."""
    usual = st.fixed_dictionaries(
        {"client_id": texts()},
        optional={"client_secret": clear_texts(), "redirect_uris": st.lists(texts(), max_size=2)},
    )
    return st.one_of(usual, json_objects().filter(has_clear_secret))


def clear_texts() -> st.SearchStrategy[str]:
    """Return texts that cannot be taken for an envelope."""
    return texts().filter(lambda text: not text.startswith("enc:"))


def moments() -> st.SearchStrategy[int]:
    """Return values of ``created_at``, in milliseconds."""
    return st.one_of(st.integers(0, LATEST_MOMENT_MS), st.sampled_from(MOMENTS))


OPTIONAL_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "server_id": texts(),
    "server_name": texts(),
    "headers": headers(),
    "active": st.booleans(),
    "client_information": client_information(),
    "tokens": tokens(),
    "code_verifier": clear_texts(),
    "client_id": texts(),
}
REQUIRED_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "server_url": texts(),
    "transport_type": st.sampled_from(["sse", "streamable_http"]),
    "callback_url": texts(),
    "created_at": moments(),
}
CREDENTIALS = {field: OPTIONAL_FIELDS[field] for field in ("tokens", "headers")}
ABSENT: dict[str, Any] = {**FILLED, **dict.fromkeys(OPTIONAL_FIELDS)}
"""Only the fields that every session has."""


USUAL: tuple[dict[str, Any], ...] = (
    {"server_url": "", "transport_type": "sse", "callback_url": "", "created_at": 0},
    FILLED,
    {**FILLED, "client_information": None, "code_verifier": None, "client_id": None},
    {**FILLED, "tokens": None, "headers": None, "active": False},
    EMPTY,
    EDGE_CASES,
)
"""The fields of a few sessions: the smallest, whole ones, and two in the middle of a login."""


@cache  # Hypothesis validates a strategy once, which costs as much as some examples
def sessions(identity: str | None = None, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[SessionData]:
    """Return sessions that are usual but for their names and up to two fields, for tests that look at other things.

    ``identity``: of this one; ``fixed``: fields that are present, by strategy.
    """
    varied = {field: value for field, value in (REQUIRED_FIELDS | OPTIONAL_FIELDS).items() if field not in fixed}
    one = st.one_of(*(st.tuples(st.just(field), value) for field, value in varied.items()))
    parts = st.tuples(
        _names_of(identity), st.sampled_from(USUAL), st.lists(one, max_size=2), st.fixed_dictionaries(fixed)
    )
    return parts.map(lambda drawn: SessionData(**{**drawn[1], **dict(drawn[2]), **drawn[3], **drawn[0]}))


@cache
def sessions_of_every_shape() -> st.SearchStrategy[SessionData]:
    """Return sessions in which every field is drawn, for tests of what a store keeps."""
    there = {"identity": names(), "session_id": names(), **REQUIRED_FIELDS}
    return st.fixed_dictionaries(there, optional=OPTIONAL_FIELDS).map(lambda drawn: SessionData(**drawn))


def _names_of(identity: str | None) -> st.SearchStrategy[dict[str, str]]:
    name = st.just(identity) if identity is not None else names()
    return st.fixed_dictionaries({"identity": name, "session_id": names()})


def families(min_size: int = 1, max_size: int = 7) -> st.SearchStrategy[list[SessionData]]:
    """Return sessions of a few identities, no session id twice."""
    some = st.sampled_from(["alice", "alice", "alice", "alice2", "ALICE", "al", "alice:s"])
    one = some.flatmap(lambda identity: sessions(identity=identity))
    return st.lists(one, min_size=min_size, max_size=max_size, unique_by=lambda session: session.session_id)


@cache
def changes(min_size: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Return updates: some fields with new values, among the optional ones some ``None``."""
    optional = {field: st.one_of(st.none(), value) for field, value in OPTIONAL_FIELDS.items()}
    everything = {**REQUIRED_FIELDS, **optional}
    chosen = st.lists(st.sampled_from(sorted(everything)), unique=True, min_size=min_size, max_size=4)
    return chosen.flatmap(lambda fields: st.fixed_dictionaries({field: everything[field] for field in fields}))


def ttls(longest: float = 86_400) -> st.SearchStrategy[float]:
    """Return times in seconds, from a quarter of a second up: whole and fractional."""
    whole = st.integers(1, int(longest))
    return st.one_of(whole, st.floats(0.25, longest, allow_nan=False), st.sampled_from([1, 1.5, 60, 3600]))
