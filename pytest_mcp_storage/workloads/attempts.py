"""One call of each method, with its result and its effect, whether it takes effect or not (CA, RE)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from reference_backends import SessionData

WRITES = ("create_session", "update_session", "renewal", "remove_session", "clear_all", "cleanup_expired_sessions")
READS = ("get_session", "get_identity_sessions_data", "get_identity_mcp_sessions", "get_all_session_ids")
METHODS = WRITES + READS
STORE_WIDE = ("clear_all", "cleanup_expired_sessions", "get_all_session_ids")
"""Methods that are left out if the store may hold others' data."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """A call of ``method`` about ``session``, which is created first unless ``method`` does it.

    ``before`` and ``after``: the session if the call had no effect, and if it had.
    """

    method: str
    session: SessionData
    before: SessionData | None
    after: SessionData | None
    call: Callable[[RecordingBackend], Coroutine[Any, Any, Any]]

    async def prepare(self, store: RecordingBackend, ttl: float | None = None) -> None:
        """Bring the session into the state ``before``."""
        if self.before is not None:
            await store.create_session(self.before, ttl)

    @property
    def states(self) -> Mapping[str, SessionData | None]:
        """Return what every read may return once the call has ended without a result, by a name."""
        return {"as before": self.before} if self.before is self.after else {"as before": self.before, **self.done}

    @property
    def done(self) -> Mapping[str, SessionData | None]:
        """Return what every read must return once the call has returned."""
        return {"as after": self.after}

    def wrong(self, result: object) -> str:
        """Return what is wrong with the result of the call, in words; empty if nothing is."""
        session = self.session
        match self.method:
            case "get_session":
                return _unlike(result, session)
            case "get_identity_sessions_data":
                return (
                    _unlike(result[0], session) if isinstance(result, list) and len(result) == 1 else describe(result)
                )
            case "get_identity_mcp_sessions":
                return "" if result == [session.session_id] else describe(result)
            case "get_all_session_ids":
                there = isinstance(result, list) and result.count(session.session_id) == 1
                return "" if there else f"returned a list without {session.session_id!r}"
        return "" if result is None else describe(result)


def attempt(method: str, session: SessionData, changes: Mapping[str, Any], ttl: float | None = None) -> Attempt:
    """Return the attempt of a method.

    ``changes``: the fields that an update names; ``ttl``: of a create or an update.
    """
    name = session.identity, session.session_id
    identity = session.identity
    match method:
        case "create_session":
            return Attempt(method, session, None, session, lambda store: store.create_session(session, ttl))
        case "update_session":
            changed = session.model_copy(update=dict(changes))
            return Attempt(
                method, session, session, changed, lambda store: store.update_session(*name, dict(changes), ttl)
            )
        case "renewal":
            return Attempt(method, session, session, session, lambda store: store.update_session(*name, {}, ttl))
        case "remove_session":
            return Attempt(method, session, session, None, lambda store: store.remove_session(*name))
        case "clear_all":
            return Attempt(method, session, session, None, lambda store: store.clear_all())
        case "cleanup_expired_sessions":
            return Attempt(method, session, session, session, lambda store: store.cleanup_expired_sessions())
        case "get_session":
            return Attempt(method, session, session, session, lambda store: store.get_session(*name))
        case "get_all_session_ids":
            return Attempt(method, session, session, session, lambda store: store.get_all_session_ids())
    return Attempt(method, session, session, session, lambda store: getattr(store, method)(identity))


def may_be_called(context: TestContext, method: str) -> bool:
    """Say whether the method touches no session of others; if it may, the report says that it was left out."""
    if method in STORE_WIDE and not context.store_is_ours:
        context.leave_out(f"{method}: the store may hold others' data")
        return False
    return True


def _unlike(result: object, session: SessionData) -> str:
    if not isinstance(result, SessionData):
        return describe(result)
    found = difference(result, session)
    return found and f"returned {found}"
