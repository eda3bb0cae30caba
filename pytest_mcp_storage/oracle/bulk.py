"""Many sessions at once, for the clauses that speak of large numbers."""

from __future__ import annotations

import asyncio

from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.witness import Witness
from reference_backends import SessionData

AT_ONCE = 50


async def create_many(trial: Trial, store: Witness, session: SessionData, count: int) -> list[SessionData]:
    """``count`` sessions of one identity, small and alike but for their ids; the history shows one line for all."""
    plain = {"tokens": {"access_token": "t"}, "headers": None, "client_information": None}
    many = [
        session.model_copy(update={**plain, "session_id": trial.session_id(f"n{number:05}")}) for number in range(count)
    ]
    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(store.backend.create_session(each) for each in many[start : start + AT_ONCE]))
    trial.history.note(f"… create_session of {count} sessions of {session.identity!r} …")
    return many
