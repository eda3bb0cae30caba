"""Values made from a text or a number that a store's source names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_mcp_storage.oracle.confusables import TwoNames, moved
from pytest_mcp_storage.oracle.limits import DEEPEST_NESTING


def around(text: str) -> list[str]:
    """Return the text alone, before, after and inside other text, twice, and in the other case."""
    return list(dict.fromkeys((text, f"{text}x", f"x{text}", f"x{text}x", text * 2, text.upper(), text.lower())))


def of_length(length: int) -> str:
    """Return a text of this many characters in which places near each other differ."""
    return ("0123456789abcdefghijklmnopqrstuvwxyz" * (length // 36 + 1))[:length]


def nested(depth: int) -> dict[str, Any] | None:
    """Return objects inside one another, ``depth`` of them; ``None`` if a session can't be nested so deeply."""
    if not 1 <= depth < DEEPEST_NESTING:
        return None
    value: dict[str, Any] = {"end": [True, None, 0]}
    for _ in range(depth - 1):
        value = {"in": value}
    return value if depth < DEEPEST_NESTING - 1 else None


def joined_by(text: str) -> list[TwoNames]:
    """Return pairs of names that become one if a store joins, cuts or removes at ``text``."""
    return [
        moved("a", "b", "c", text),
        ((f"a{text}", "s"), ("a", "t")),
        ((f"{text}a", "s"), ("a", "t")),
        ((f"a{text}b", "s"), ("ab", "t")),
        (("alice", f"s{text}"), ("alice", "s")),
        (("alice", f"{text}s"), ("alice", "s")),
    ]


def batched(texts: Sequence[str], count: int) -> Iterator[Sequence[str]]:
    """Yield the texts, ``count`` at a time."""
    yield from (texts[start : start + count] for start in range(0, len(texts), count))
