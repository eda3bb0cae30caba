"""Decide whether an order explains what the callers of one session saw.

In that order each call takes effect at one moment between its start and its end, and a plain dict would have returned
the same. The search is that of Wing and Gong (1993), with Lowe's cache of visited states (2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pytest_mcp_storage.spec.harness import NotMeasurable

BOUND = 200_000
"""How many states a search visits before it stops: the result is then "not measured", never "passed"."""

Fields = tuple[tuple[str, Any], ...]
"""Fields by name, sorted, in a form that compares as JSON does."""


class Kind(Enum):
    """What a call did to one session, or saw of it, by its result."""

    CREATED = "it was created"
    UPDATED = "fields of it were changed"
    REMOVED = "it was removed"
    READ = "it was read, or None in its place"
    PRESENT = "it was listed, or could not be created again"
    ABSENT = "it was not listed, or could not be updated"


WRITES = (Kind.CREATED, Kind.UPDATED, Kind.REMOVED)


@dataclass(frozen=True)
class Operation:
    """A call, as far as it concerns one session. ``start`` and ``end`` in nanoseconds.

    ``fields``: what was written or read; ``None``: nothing existed. ``end`` is ``None`` if no result came: the call
    took effect at any moment since its start, or never.
    """

    kind: Kind
    start: int
    end: int | None
    fields: Fields | None = None

    def applied(self, state: Fields | None) -> tuple[bool, Fields | None]:
        """Say whether a dict in this state would have returned this, and its state after that."""
        there = state is not None
        match self.kind:
            case Kind.CREATED:
                return not there, self.fields
            case Kind.UPDATED:
                changed = dict(state or ()) | dict(self.fields or ())
                return there, tuple(sorted((name, value) for name, value in changed.items() if value is not None))
            case Kind.REMOVED:
                return True, None
            case Kind.READ:
                return state == self.fields, state
            case Kind.PRESENT:
                return there, state
            case Kind.ABSENT:
                return not there, state


def is_linearizable(operations: Sequence[Operation], *, bound: int = BOUND) -> bool:
    """Say whether some order explains every result, if no session existed at first.

    Raise :class:`NotMeasurable` if the search visits more than ``bound`` states.
    """
    ordered = sorted(operations, key=lambda operation: operation.start)
    answered = sum(1 << place for place, operation in enumerate(ordered) if operation.end is not None)
    visited: set[tuple[int, Fields | None]] = set()
    waiting: list[tuple[int, Fields | None]] = [(0, None)]
    while waiting:
        done, state = waiting.pop()
        if done & answered == answered:
            return True
        if (done, state) in visited:
            continue
        visited.add((done, state))
        if len(visited) > bound:
            raise NotMeasurable(f"{len(ordered)} concurrent calls on one session have over {bound} states to search")
        waiting += _next(ordered, done, state)
    return False


def frozen(fields: Mapping[str, Any]) -> Fields:
    """Return fields by name in a form that can be hashed and compares as JSON does: ``True`` is no number."""
    return tuple(sorted((name, _freeze(value)) for name, value in fields.items()))


def _next(ordered: Sequence[Operation], done: int, state: Fields | None) -> list[tuple[int, Fields | None]]:
    """Yield what one more operation leads to. No operation precedes one that had ended when it began."""
    left = [(place, operation) for place, operation in enumerate(ordered) if not done >> place & 1]
    first_end = min(operation.end for _, operation in left if operation.end is not None)
    found = []
    for place, operation in left:
        if operation.start > first_end:
            break
        legal, after = operation.applied(state)
        if legal and operation.kind not in WRITES:
            return [(done | 1 << place, state)]  # it changes nothing, so placing it here loses no order
        if legal:
            found.append((done | 1 << place, after))
    return found


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return "object", frozen(value)
    if isinstance(value, list):
        return "list", tuple(map(_freeze, value))
    return ("truth", value) if isinstance(value, bool) else value
