"""What the suite draws: names, texts, JSON, sessions and TTLs, within the bounds of ``SessionData``, and up to them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.oracle.limits import LARGEST_NUMBER, LATEST_MOMENT_MS, LONGEST_NAME
from reference_backends import SessionData

TwoNames = tuple[tuple[str, str], tuple[str, str]]
"""Two times identity and session id."""

AWKWARD_TEXTS = (
    "",
    " ",
    "null",
    "__proto__",
    "constructor",
    "é",
    "e\u0301",
    "\u2028\u2029",
    "\x01\x1f\x7f\x85",
    "\ufeff",
    "\uffff",
    "👩‍👩‍👧",
    "\U0010ffff",
    "'; DROP TABLE mcp_sessions; --",
    "${HOME} %s {0} \\u0000 \\",
    '"',
    "2026-11-23T00:00:00Z",
    "1e5",
    "0123",
    "true",
    " \t Aa  B ",
    "a\r\nb\rc\n",
    "&lt;&amp;&#39;%41+%20",
)
AWKWARD_NUMBERS = (
    0, 1, -1, 0.1, -0.0, 1e-300, 5e-324, LARGEST_NUMBER, -LARGEST_NUMBER, 1.5e15, 0.1 + 0.2, 123456789.12345679, 2**31,
    2**32,
)  # fmt: skip
AWKWARD_JSON: dict[str, Any] = {
    "null": None, "true": True, "false": False, "text": "", "word": "null", "object": {}, "list": [],
    "inner": {"null": None, "no": []}, "": "an empty key", "a.b": {"c.d": 1}, "$set": {"$inc": 1},
    "__proto__": {"x": None}, "0": "a numeric key", "case": 1, "CASE": 2, "é": 3, "e\u0301": 4, " spaced ": 5,
    "snake_case": 6, "names": ["null", "true", "1", "1e5"],
    "items": ["b", "a", "a", 1, 1, None, [], {}, [[]], [None], [["in"], "out"], True], "only": ["one"],
    "numbers": list(AWKWARD_NUMBERS),
}  # fmt: skip
AWKWARD_NAMES = (
    "a", "b", "A", "aa", "a:b", "b:c", "a/b", "*", "?", "[a]", "%", "_", "a_", "a%", "'", '"', "\\", " ", "a ", ".",
    "..", "é", "e\u0301", "ß", "ss", "İ", "null", "{a}", "a,b", "a\nb", "(a)", "$a", "#", "&", "+", "eq.a", "👩‍👩‍👧",
    "a" * 200,
)  # fmt: skip
MOMENTS = (0, 1, 999, 1_000, 1_700_000_000_123, 2**31, 2**32 * 1000 + 7, LATEST_MOMENT_MS - 1, LATEST_MOMENT_MS)
"""Milliseconds: the first, the last, and those that a shorter number or another unit alters."""
SEPARATORS = (":", "/", "|", ".", "-", "_", " ", ",", "\x1f", "::", "\n", "%3A")
LOOK_ALIKES = (
    ("al%", "alice"), ("a_ice", "alice"), ("alice", "Alice"), ("é", "e\u0301"), ("alice", "alice "), ("*", "alice"),
    ("al*", "alice"), ("[a]lice", "alice"), ("alice?", "alice1"), ("ß", "ss"), ("a", "aa"), ("a'", "a''"), ("\\a", "a"),
    ("İ", "i"), ("1", "01"), ("1", "1.0"), ("a", "a\u200b"), ("true", "True"), ("ａ", "a"), ("/a", "a"), ("..", "a"),
    ("é", "e"), ("æ", "ae"), ("😀", "😁"), ("Ж", "Я"), ("\u212b", "\u00c5"), ("\u212a", "k"), ("a+b", "a b"),
    ("a%20b", "a b"), ("%41", "A"), ("&amp;", "&"), ("a-b", "a_b"), ("a:b", "a_b"), ("a\\b", "a/b"), ("a  b", "a b"),
    ("a\r\nb", "a\nb"), ("a\tb", "a b"), ("a\x01", "a"), ("a\u00ad", "a"), ("a/../b", "b"), ("a//b", "a/b"),
)  # fmt: skip
BEGINNINGS = ((" alice", "alice"), ("/alice", "alice"), ("./alice", "alice"), ("\ufeffalice", "alice"))
ENDINGS = (("alice ", "alice"), ("alice\n", "alice"), ("alice/", "alice"), ("alice.", "alice"), ("alice\t", "alice"))


@cache
def texts(max_size: int = 30) -> st.SearchStrategy[str]:
    """Text without NUL and lone surrogates."""
    alphabet = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.one_of(st.text(alphabet, max_size=max_size), st.sampled_from(AWKWARD_TEXTS))


@cache
def names() -> st.SearchStrategy[str]:
    """Identities and session ids, short enough to be marked with their example."""
    alphabet = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.one_of(st.sampled_from(AWKWARD_NAMES), st.text(alphabet, min_size=1, max_size=20))


def numbers() -> st.SearchStrategy[int | float]:
    """Numbers that a double keeps, up to ±(2⁵³ - 1)."""
    bound = float(LARGEST_NUMBER)
    return st.one_of(
        st.integers(-LARGEST_NUMBER, LARGEST_NUMBER),
        st.floats(-bound, bound, allow_nan=False, allow_infinity=False),
        st.sampled_from(AWKWARD_NUMBERS),
    )


def json_values(max_leaves: int = 6) -> st.SearchStrategy[Any]:
    """Any JSON value within the bounds."""
    leaves = st.one_of(st.none(), st.booleans(), numbers(), texts())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts(10), inner, max_size=3)),
        max_leaves=max_leaves,
    )


@cache
def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects, the empty one included."""
    return st.dictionaries(texts(10), json_values(), max_size=3)


@cache
def headers() -> st.SearchStrategy[dict[str, str]]:
    """Text to text."""
    return st.dictionaries(texts(15), texts(), max_size=3)


def tokens() -> st.SearchStrategy[dict[str, Any]]:
    """OAuth tokens, and any object in their place."""
    usual = st.fixed_dictionaries(
        {"access_token": texts(), "token_type": st.just("Bearer")},
        optional={"refresh_token": texts(), "expires_in": st.integers(0, 10**6), "scope": texts()},
    )
    return st.one_of(usual, json_objects())


def has_clear_secret(information: dict[str, Any]) -> bool:
    """Whether ``client_secret`` cannot be taken for an envelope."""
    secret = information.get("client_secret")
    return not (isinstance(secret, str) and secret.startswith("enc:"))


def client_information() -> st.SearchStrategy[dict[str, Any]]:
    """OAuth client information, and any object in its place."""
    usual = st.fixed_dictionaries(
        {"client_id": texts()},
        optional={"client_secret": clear_texts(), "redirect_uris": st.lists(texts(), max_size=2)},
    )
    return st.one_of(usual, json_objects().filter(has_clear_secret))


def clear_texts() -> st.SearchStrategy[str]:
    """Text that cannot be taken for an envelope."""
    return texts().filter(lambda text: not text.startswith("enc:"))


def moments() -> st.SearchStrategy[int]:
    """``created_at``, in milliseconds."""
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
TEXT_FIELDS = ("server_id", "server_name", "server_url", "callback_url", "code_verifier", "client_id")
FILLED: dict[str, Any] = {
    "server_id": "id", "server_name": "name", "server_url": "https://mcp.example", "transport_type": "streamable_http",
    "callback_url": "https://app.example", "created_at": 1_700_000_000_123, "headers": {"X-One": "1", "X-Two": "2"},
    "active": True, "client_information": {"client_id": "app", "redirect_uris": ["https://app.example"]},
    "tokens": {"access_token": "at", "scope": "read write", "more": {"a": 1, "b": 2}}, "code_verifier": "verifier",
    "client_id": "client",
}  # fmt: skip
"""A value for every field."""
EMPTY: dict[str, Any] = {
    "server_id": "", "server_name": "", "server_url": "", "transport_type": "sse", "callback_url": "", "created_at": 0,
    "headers": {}, "active": False, "client_information": {}, "tokens": {}, "code_verifier": "", "client_id": "",
}  # fmt: skip
"""The same, of nothing but what a careless condition takes for absent."""
ABSENT: dict[str, Any] = {**FILLED, **dict.fromkeys(OPTIONAL_FIELDS)}
AWKWARD: dict[str, Any] = {
    **FILLED, **dict.fromkeys(TEXT_FIELDS, " e\u0301\r\n👩‍👩‍👧 "), "created_at": LATEST_MOMENT_MS, "active": None,
    "headers": {"x-Key": " e\u0301 ", "X-Key": ""}, "client_information": AWKWARD_JSON, "tokens": AWKWARD_JSON,
}  # fmt: skip


@cache
def sessions(identity: str | None = None, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[SessionData]:
    """Sessions of every shape. ``identity``: of this one; ``fixed``: fields that are there, by strategy."""
    name = st.just(identity) if identity is not None else names()
    there = {"identity": name, "session_id": names(), **REQUIRED_FIELDS, **fixed}
    optional = {field: value for field, value in OPTIONAL_FIELDS.items() if field not in fixed}
    return st.fixed_dictionaries(there, optional=optional).map(lambda drawn: SessionData(**drawn))


def families(min_size: int = 1, max_size: int = 7) -> st.SearchStrategy[list[SessionData]]:
    """Sessions of a few identities, no session id twice."""
    some = st.sampled_from(["alice", "alice", "alice", "alice2", "ALICE", "al", "alice:s"])
    one = some.flatmap(lambda identity: sessions(identity=identity))
    return st.lists(one, min_size=min_size, max_size=max_size, unique_by=lambda session: session.session_id)


def moved(x: str, y: str, z: str, by: str) -> TwoNames:
    """Two names that become one where identity and session id are joined by ``by``."""
    return (f"{x}{by}{y}", z), (x, f"{y}{by}{z}")


def known_look_alikes() -> list[TwoNames]:
    """Every pair that the suite knows: by joining, by pattern, by collation; as identities and as session ids."""
    joined = [moved("a", "b", "c", by) for by in SEPARATORS]
    return [*joined, *_as_identities([*LOOK_ALIKES, *ENDINGS]), *_as_session_ids([*LOOK_ALIKES, *BEGINNINGS])]


def known_ends() -> list[TwoNames]:
    """Those that only the other end shows, where an example's mark stands: see :meth:`Trial.identity`."""
    return [*_as_identities(BEGINNINGS), *_as_session_ids(ENDINGS)]


def hardly_different(number: int, prefix: str) -> list[TwoNames]:
    """The longest names, which differ in their last character, and numbers that differ in how they are written.

    ``number`` and ``prefix`` are an example's own.
    """
    longest = [f"{prefix}{letter * LONGEST_NAME}"[: LONGEST_NAME - 1] for letter in "aé👩"]
    pairs = [(f"{text}b", f"{text}c") for text in longest]
    digits = f"{number + 10**9}"
    pairs += [(digits, form) for form in (f"0{digits}", f"{digits}.0", f"+{digits}", f"{digits}e0")]
    return [*_as_identities(pairs), *_as_session_ids(pairs, identity=prefix)]


def _as_identities(pairs: Iterable[tuple[str, str]]) -> list[TwoNames]:
    return [((one, "s"), (other, "t")) for one, other in pairs]


def _as_session_ids(pairs: Iterable[tuple[str, str]], identity: str = "alice") -> list[TwoNames]:
    return [((identity, one), (identity, other)) for one, other in pairs]


def look_alikes() -> st.SearchStrategy[TwoNames]:
    """Two names (identity, session id) that a careless key, pattern or collation takes for one; two different ids."""
    part = st.sampled_from(["a", "b", "A", "0", "é", "ab"])
    alike = st.sampled_from(LOOK_ALIKES)
    return st.one_of(
        st.builds(moved, part, part, part, st.sampled_from(SEPARATORS)),
        alike.map(lambda two: ((two[0], "s"), (two[1], "t"))),
        alike.map(lambda two: (("alice", two[0]), ("alice", two[1]))),
        st.tuples(st.tuples(names(), st.just("s")), st.tuples(names(), st.just("t"))),
    )


@cache
def changes(min_size: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Updates: some fields with new values, optional ones with ``None`` among them."""
    optional = {field: st.one_of(st.none(), value) for field, value in OPTIONAL_FIELDS.items()}
    everything = {**REQUIRED_FIELDS, **optional}
    chosen = st.lists(st.sampled_from(sorted(everything)), unique=True, min_size=min_size, max_size=4)
    return chosen.flatmap(lambda fields: st.fixed_dictionaries({field: everything[field] for field in fields}))


def ttls(longest: float = 86_400) -> st.SearchStrategy[float]:
    """Seconds, from a quarter of one up: whole and broken."""
    whole = st.integers(1, int(longest))
    return st.one_of(whole, st.floats(0.25, longest, allow_nan=False), st.sampled_from([1, 1.5, 60, 3600]))
