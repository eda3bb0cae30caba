"""Waiting for a server."""

from __future__ import annotations

import asyncio

from pytest_mcp_storage.stacks.polling import poll


async def test_the_first_answer_is_returned() -> None:
    answers = iter([None, None, "up"])

    async def attempt() -> str | None:
        return next(answers)

    assert await poll(attempt, limit=60, every=0) == "up"


async def test_a_server_that_has_ended_is_not_waited_for() -> None:
    left = [1, 2]

    async def attempt() -> None:
        left.pop()

    assert await poll(attempt, limit=60, every=0, alive=lambda: bool(left)) is None
    assert left == []


async def test_an_attempt_that_hangs_is_cut_off() -> None:
    async def attempt() -> None:
        await asyncio.Event().wait()

    assert await poll(attempt, limit=0.01) is None
