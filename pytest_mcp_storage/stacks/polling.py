"""Wait for a server that starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def poll(
    attempt: Callable[[], Awaitable[T | None]],
    *,
    limit: float,
    every: float = 0.005,
    alive: Callable[[], bool] = lambda: True,
) -> T | None:
    """Return the first result of ``attempt`` that is not ``None``.

    Return ``None`` after ``limit`` seconds, and as soon as ``alive`` says that the server has ended. An attempt that
    takes longer is cut off.
    """
    try:
        async with asyncio.timeout(limit):
            while alive():
                if (found := await attempt()) is not None:
                    return found
                await asyncio.sleep(every)
    except TimeoutError:
        pass
    return None
