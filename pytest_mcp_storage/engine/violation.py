"""How a clause's test says that a store broke the clause."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from pytest_mcp_storage.spec.describe import told
from pytest_mcp_storage.spec.harness import NotMeasurable


class Violation(Exception):
    """What was seen, and what should have been; the clause is the test's own.

    ``history``: the lines that show it, where the calls in the order in which they began would not.
    """

    def __init__(self, seen: str, *, should: str, history: Sequence[str] = ()) -> None:
        super().__init__(f"{seen}; should: {should}")
        self.seen = seen
        self.should = should
        self.history = list(history)


class NoReturn(Violation):
    """A call that never returned. A shorter history that shows it is not looked for: each example takes as long."""


async def outcome_of(call: Awaitable[Any]) -> Any:
    """What a call returned, or the exception that it raised; :class:`NotMeasurable` is passed on: it says nothing."""
    try:
        return await call
    except NotMeasurable:
        raise
    except Exception as error:
        return error


async def assert_raises(expected: type[Exception], call: Awaitable[Any], *, doing: str) -> Exception:
    """The error that the call raised. A :class:`Violation` where it returned, or raised another.

    ``doing``: the call in words, as the subject of a sentence: "creating a live session again".
    """
    got = await outcome_of(call)
    if not isinstance(got, expected):
        cause = got if isinstance(got, Exception) else None
        raise Violation(f"{doing} {told(got)}", should=f"raise {expected.__name__}") from cause
    return got
