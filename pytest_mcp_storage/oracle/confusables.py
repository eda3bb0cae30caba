"""Names that a careless key, pattern or collation treats as the same."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from pytest_mcp_storage.oracle.generators import names
from pytest_mcp_storage.oracle.limits import LONGEST_NAME

TwoNames = tuple[tuple[str, str], tuple[str, str]]
"""Two pairs of identity and session id."""

SEPARATORS = (":", "/", "|", ".", "-", "_", " ", ",", "\x1f", "::", "\n", "%3A")
CONFUSABLES = (
    ("al%", "alice"), ("a_ice", "alice"), ("alice", "Alice"), ("é", "e\u0301"), ("alice", "alice "), ("*", "alice"),
    ("al*", "alice"), ("[a]lice", "alice"), ("alice?", "alice1"), ("ß", "ss"), ("a", "aa"), ("a'", "a''"), ("\\a", "a"),
    ("İ", "i"), ("1", "01"), ("1", "1.0"), ("a", "a\u200b"), ("true", "True"), ("ａ", "a"), ("/a", "a"), ("..", "a"),
    ("é", "e"), ("æ", "ae"), ("😀", "😁"), ("Ж", "Я"), ("\u212b", "\u00c5"), ("\u212a", "k"), ("a+b", "a b"),
    ("a%20b", "a b"), ("%41", "A"), ("&amp;", "&"), ("a-b", "a_b"), ("a:b", "a_b"), ("a\\b", "a/b"), ("a  b", "a b"),
    ("a\r\nb", "a\nb"), ("a\tb", "a b"), ("a\x01", "a"), ("a\u00ad", "a"), ("a/../b", "b"), ("a//b", "a/b"),
)  # fmt: skip
BEGINNINGS = ((" alice", "alice"), ("/alice", "alice"), ("./alice", "alice"), ("\ufeffalice", "alice"))
ENDINGS = (("alice ", "alice"), ("alice\n", "alice"), ("alice/", "alice"), ("alice.", "alice"), ("alice\t", "alice"))


def moved(x: str, y: str, z: str, by: str) -> TwoNames:
    """Return two names that become one if identity and session id are joined by ``by``."""
    return (f"{x}{by}{y}", z), (x, f"{y}{by}{z}")


def known_confusables() -> list[TwoNames]:
    """Return every pair that the suite knows: by joining, pattern and collation; as identities and as session ids."""
    joined = [moved("a", "b", "c", by) for by in SEPARATORS]
    return [*joined, *_as_identities([*CONFUSABLES, *ENDINGS]), *_as_session_ids([*CONFUSABLES, *BEGINNINGS])]


def known_ends() -> list[TwoNames]:
    """Return the pairs that differ at the end that an example's mark covers: see :meth:`TestContext.identity`."""
    return [*_as_identities(BEGINNINGS), *_as_session_ids(ENDINGS)]


def hardly_different(number: int, prefix: str) -> list[TwoNames]:
    """Return the longest names, which differ in their last character, and numbers in different notations.

    ``number`` and ``prefix`` belong to one example.
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


def confusables() -> st.SearchStrategy[TwoNames]:
    """Return two names (identity, session id) that a careless store treats as one; the two ids differ."""
    part = st.sampled_from(["a", "b", "A", "0", "é", "ab"])
    alike = st.sampled_from(CONFUSABLES)
    return st.one_of(
        st.builds(moved, part, part, part, st.sampled_from(SEPARATORS)),
        alike.map(lambda two: ((two[0], "s"), (two[1], "t"))),
        alike.map(lambda two: (("alice", two[0]), ("alice", two[1]))),
        st.tuples(st.tuples(names(), st.just("s")), st.tuples(names(), st.just("t"))),
    )
