"""How a clause test reports that a store broke the clause."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import NotMeasurable


class Violation(Exception):
    """What was observed, and what was expected; the clause is the test's own.

    ``history``: lines that show it, if the calls in the order of their start would not.
    """

    def __init__(self, seen: str, *, should: str, history: Sequence[str] = ()) -> None:
        super().__init__(f"{seen}; should: {should}")
        self.seen = seen
        self.should = should
        self.history = list(history)


class NoReturn(Violation):
    """A call that never returned. It is not shrunk to a shorter history: each example takes as long."""


async def outcome_of(call: Awaitable[Any]) -> Any:
    """Return the result of a call, or the exception that it raised; :class:`NotMeasurable` is passed on."""
    try:
        return await call
    except NotMeasurable:
        raise
    except Exception as error:
        return error


async def assert_raises(expected: type[Exception], call: Awaitable[Any], *, doing: str) -> Exception:
    """Return the error that the call raised. Raise :class:`Violation` if it returned, or raised another one.

    ``doing``: the call in words, as the subject of a sentence: "creating a live session again".
    """
    got = await outcome_of(call)
    if not isinstance(got, expected):
        cause = got if isinstance(got, Exception) else None
        raise Violation(f"{doing} {describe(got)}", should=f"raise {expected.__name__}") from cause
    return got
