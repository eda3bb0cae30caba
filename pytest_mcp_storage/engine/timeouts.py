"""Patience: how long a store is waited for, and what is said of one that can't be waited for at all."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Returned = TypeVar("Returned")

GRACE = 5.0
"""Seconds that what has had its time gets to end; after them it is left behind."""


class Overdue(TimeoutError):
    """A call did not return in time."""


def awaitable(name: str, made: Awaitable[Returned]) -> Awaitable[Returned]:
    """What ``name`` made, to be awaited. Raises ``TypeError`` where it is no coroutine, nor anything like one."""
    if not inspect.isawaitable(made):
        raise TypeError(f"{name} must be written with async def; it returned a {type(made).__name__}")
    return made


async def in_time(
    name: str, call: Callable[..., Awaitable[Returned]], *arguments: Any, limit: float, **options: Any
) -> Returned:
    """What the call returned. Raises :class:`Overdue` after ``limit`` seconds, whatever the call makes of its end."""
    deadline = asyncio.timeout(limit)
    try:
        async with deadline:
            return await awaitable(name, call(*arguments, **options))
    except Exception:
        if deadline.expired():
            raise Overdue(f"{name} did not return within {limit:g} s") from None
        raise


async def ended(name: str, call: Callable[..., Awaitable[object]], *arguments: Any, limit: float) -> None:
    """Wait for a call whose answer, or error, nobody judges. Raises :class:`Overdue` after ``limit`` seconds."""
    try:
        await in_time(name, call, *arguments, limit=limit)
    except Overdue:
        raise
    except Exception:  # noqa: S110
        pass
