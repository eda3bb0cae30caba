"""Many sessions at once, for the clauses that speak of large numbers."""

from __future__ import annotations

import asyncio
import time

from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.witness import Witness
from reference_backends import SessionData

AT_ONCE = 50
PATIENCE = 300.0
"""Seconds after which a slow store is spared the rest of a very large number."""


async def create_many(
    trial: Trial,
    store: Witness,
    session: SessionData,
    count: int,
    ttl: float | None = None,
    *,
    least: int | None = None,
) -> list[SessionData]:
    """``count`` sessions of one identity, small and alike but for their ids; the history shows one line for all.

    ``least``: so many will do where the store takes longer than :data:`PATIENCE`.
    """
    plain = {"tokens": {"access_token": "t"}, "headers": None, "client_information": None}
    many: list[SessionData] = []
    enough = count if least is None else min(least, count)
    end = time.monotonic() + PATIENCE
    while len(many) < enough or (len(many) < count and time.monotonic() < end):
        numbers = range(len(many), min(len(many) + AT_ONCE, count))
        batch = [
            session.model_copy(update={**plain, "session_id": trial.session_id(f"n{number:05}")}) for number in numbers
        ]
        trial.remember(batch)
        await asyncio.gather(*(store.backend.create_session(each, ttl) for each in batch))
        many += batch
    trial.history.note(f"… create_session of {len(many)} sessions of {session.identity!r} …")
    return many
