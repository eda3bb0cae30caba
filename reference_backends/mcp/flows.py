"""Flows of HTTP requests, as in the auth classes of ``httpx``, and a way to run one inside another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2 import Request, Response

Flow = AsyncGenerator["Request", "Response"]

TIMEOUT = {"connect": 5.0, "read": 20.0, "write": 5.0, "pool": 5.0}
"""Seconds. Together they are less than the lifetime of the refresh lock. The SDK's own requests have no timeout."""


@asynccontextmanager
async def relayed(flow: Flow) -> AsyncIterator[Callable[..., Awaitable[Request | None]]]:
    """Run a flow inside another: ``step(response)`` returns its next request, or ``None`` at its end."""

    async def step(response: Response | None = None) -> Request | None:
        try:
            return await flow.asend(response)  # type: ignore[arg-type]  # None starts it
        except StopAsyncIteration:
            return None

    try:
        yield step
    finally:
        await flow.aclose()
