"""What is timed. Each operation prepares its calls, which are timed later, and leaves the store as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice

from pytest_mcp_storage.speed.subject import FEW, LIFETIME, MANY, Subject
from reference_backends import SessionData

Call = Callable[[], Awaitable[None]]
After = Callable[[], Awaitable[None]]
EXPIRED = 10
"""The expired sessions that each call of ``cleanup`` finds."""


class WrongAnswer(Exception):
    """A store's answer is wrong, so its speed means nothing."""


@dataclass(frozen=True)
class Prepared:
    """Calls to time, and what undoes them."""

    calls: list[Call]
    after: After


@dataclass(frozen=True)
class Operation:
    """``prepare`` takes a subject, the number of calls and the number of callers."""

    name: str
    prepare: Callable[[Subject, int, int], Awaitable[Prepared]]
    store_wide: bool = False
    """Whether it touches the sessions of others."""


async def _nothing() -> None:
    pass


async def _create(subject: Subject, count: int, callers: int) -> Prepared:
    sessions = subject.fresh(count)
    return Prepared([partial(subject.create, session) for session in sessions], partial(subject.remove_all, sessions))


async def _get(subject: Subject, count: int, callers: int) -> Prepared:
    async def get(session: SessionData) -> None:
        if await subject.backend.get_session(session.identity, session.session_id) is None:
            raise WrongAnswer("get_session returned None for a live session")

    return Prepared([partial(get, session) for session in islice(cycle(subject.few), count)], _nothing)


async def _update(subject: Subject, count: int, callers: int) -> Prepared:
    async def update(session: SessionData, number: int) -> None:
        tokens = {**(session.tokens or {}), "access_token": f"{number:0180}"}
        await subject.backend.update_session(session.identity, session.session_id, {"tokens": tokens})

    calls: list[Call] = [
        partial(update, session, number) for number, session in enumerate(islice(cycle(subject.few), count))
    ]
    return Prepared(calls, _nothing)


def _list(expected: int) -> Callable[[Subject, int, int], Awaitable[Prepared]]:
    async def prepare(subject: Subject, count: int, callers: int) -> Prepared:
        identity = (subject.few if expected == FEW else subject.many)[0].identity

        async def listing() -> None:
            found = len(await subject.backend.get_identity_sessions_data(identity))
            if found != expected:
                raise WrongAnswer(f"get_identity_sessions_data returned {found} of {expected} sessions")

        return Prepared([listing] * count, _nothing)

    return prepare


async def _remove(subject: Subject, count: int, callers: int) -> Prepared:
    sessions = subject.fresh(count)
    await subject.create_all(sessions)

    async def after() -> None:
        subject.forget(sessions)

    remove = subject.backend.remove_session
    return Prepared([partial(remove, session.identity, session.session_id) for session in sessions], after)


async def _cleanup(subject: Subject, count: int, callers: int) -> Prepared:
    """Prepare one call for each caller: calls after the first would find nothing to do."""
    sessions = subject.fresh(EXPIRED * callers)
    ttl = subject.clock.measurable(LIFETIME)
    await subject.create_all(sessions, ttl)
    await subject.clock.pass_time(ttl + 0.1)

    async def after() -> None:
        subject.forget(sessions)

    return Prepared([subject.backend.cleanup_expired_sessions] * callers, after)


CREATE = Operation("create", _create)
GET = Operation("get", _get)
UPDATE = Operation("update", _update)
LIST_FEW = Operation(f"list {FEW}", _list(FEW))
LIST_MANY = Operation(f"list {MANY:,}", _list(MANY))
REMOVE = Operation("remove", _remove)
CLEANUP = Operation("cleanup", _cleanup, store_wide=True)

OPERATIONS = (CREATE, GET, UPDATE, LIST_FEW, LIST_MANY, REMOVE, CLEANUP)
GROWING = (GET, LIST_FEW, UPDATE, CREATE)
"""The operations whose time should not depend on the sessions of others."""
