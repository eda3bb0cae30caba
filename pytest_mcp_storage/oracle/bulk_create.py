"""Create many sessions at once, for the clauses about large numbers."""

from __future__ import annotations

import asyncio
import time

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from reference_backends import SessionData

AT_ONCE = 50
MORE_THAN_A_SMALL_PAGE = 250
"""Sessions that even the slowest store gets if a listing must be complete: many pages hold 100."""


async def create_many(
    context: TestContext,
    store: RecordingBackend,
    session: SessionData,
    count: int,
    ttl: float | None = None,
    *,
    first: int = 0,
    least: int | None = None,
    identities: bool = False,
) -> list[SessionData]:
    """Create ``count`` small sessions that differ only in their names; the history shows one line for all.

    They belong to one identity, or with ``identities`` to one each. ``first``: the number of the first. ``least``: this
    many are enough if the store takes longer than the tier allows; the report then notes it.
    """
    plain = {"tokens": {"access_token": "t"}, "headers": None, "client_information": None}
    many: list[SessionData] = []
    enough = count if least is None else min(least, count)
    end = time.monotonic() + context.tier.filling_time
    while len(many) < enough or (len(many) < count and time.monotonic() < end):
        numbers = range(len(many), min(len(many) + AT_ONCE, count))
        names = [_names(context, session, first + number, identities) for number in numbers]
        batch = [session.model_copy(update={**plain, **each}) for each in names]
        context.remember(batch)
        await asyncio.gather(*(store.backend.create_session(each, ttl=ttl) for each in batch))
        many += batch
    if len(many) < count:
        context.leave_out(
            f"more than {len(many)} sessions at once: creating them took over {context.tier.filling_time:g} s"
        )
    whose = "an identity each" if identities else repr(session.identity)
    context.history.note(f"… create_session of {len(many)} sessions of {whose} …")
    return many


def _names(context: TestContext, session: SessionData, number: int, identities: bool) -> dict[str, str]:
    if identities:
        return {"identity": context.identity(f"i{number:05}"), "session_id": context.session_id(f"i{number:05}")}
    return {"session_id": context.session_id(f"n{number:05}")}
