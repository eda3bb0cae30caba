"""Timeouts: how long the suite waits for a store, and the error when the wait ends."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pytest_mcp_storage.engine.tracing import traced

Returned = TypeVar("Returned")

GRACE = 5.0
"""Seconds that a call gets to end after its timeout; then it is abandoned."""


class Overdue(TimeoutError):
    """A call did not return in time."""


def awaitable(name: str, made: Awaitable[Returned]) -> Awaitable[Returned]:
    """Return what ``name`` made. Raise ``TypeError`` if it cannot be awaited."""
    if not inspect.isawaitable(made):
        raise TypeError(f"{name} must be written with async def; it returned a {type(made).__name__}")
    return made


async def in_time(
    name: str, call: Callable[..., Awaitable[Returned]], *arguments: Any, limit: float, **options: Any
) -> Returned:
    """Return the result of the call. Raise :class:`Overdue` after ``limit`` seconds, however the call then ends."""
    deadline = asyncio.timeout(limit)
    try:
        async with deadline:
            return await awaitable(name, traced(call, *arguments, **options))
    except Exception:
        if deadline.expired():
            raise Overdue(f"{name} did not return within {limit:g} s") from None
        raise


async def ended(name: str, call: Callable[..., Awaitable[object]], *arguments: Any, limit: float) -> None:
    """Wait for a call and ignore its result or error. Raise :class:`Overdue` after ``limit`` seconds."""
    try:
        await in_time(name, call, *arguments, limit=limit)
    except Overdue:
        raise
    except Exception:  # noqa: S110
        pass
