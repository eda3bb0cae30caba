"""One call of a store, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_mcp_storage.spec.describe import describe, short_repr
from reference_backends import SessionData


@dataclass
class Call:
    """One call: who, what, when (nanoseconds, monotonic), and what came back. ``end`` is 0 where nothing did (yet)."""

    handle: str
    method: str
    arguments: tuple[Any, ...]
    ttl: object
    start: int
    end: int = 0
    result: object = None
    waiting: bool = False
    """Whether somebody waits for it now."""
    sealed: bool = False
    """Whether the handle was opened with a key; unknown for calls of other processes."""
    cancelled: bool = False
    """Whether it was cancelled before it returned: it may have been done or not."""

    def __str__(self) -> str:
        given = [_shown(argument) for argument in self.arguments]
        if self.ttl is not None:
            given.append(f"ttl={self.ttl!r}")
        answer = _answer(self.result) if self.end else "was cancelled" if self.cancelled else "did not return"
        return f"{self.handle}.{self.method}({', '.join(given)})  →  {answer}"


def _shown(value: object) -> str:
    if isinstance(value, SessionData):
        fields = value.model_dump(warnings=False)  # a broken store may put anything there
        return f"SessionData({short_repr({k: v for k, v in fields.items() if v is not None}, 400)})"
    return short_repr(value)


def _answer(result: object) -> str:
    if isinstance(result, BaseException):
        return describe(result)
    if isinstance(result, list):
        return f"[{', '.join(_shown(item) for item in result[:5])}{', …' if len(result) > 5 else ''}] ({len(result)})"
    return _shown(result)
