"""One handle of a store behind a bridge, as a :class:`StorageBackend`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.bridge.borrowed import LONGEST, BorrowedObjects, mutable
from pytest_mcp_storage.bridge.errors import ForeignAnswerError
from pytest_mcp_storage.bridge.marks import UNDEFINED, mark
from pytest_mcp_storage.bridge.wire import Wire
from reference_backends import Clock, InvalidSessionError, SessionData, SessionUpdate
from reference_backends.core.record import FIELD_NAMES, WIRE_NAMES

MOST_IDS = 4096
"""The most session ids that are requested at once. The first request is for one, each next for twice as many."""


class BridgeBackend:
    """Sends each method as one call, and checks the form of its answer.

    Raises what the backend raised: the errors of :mod:`reference_backends.core.errors`, ``ForeignError`` for any other,
    ``ForeignAnswerError`` for an answer of the wrong form, ``BridgeFault`` for a fault of the bridge.
    """

    def __init__(self, wire: Wire, handle: str, clock: Clock | None, *, shares_objects: bool = False) -> None:
        self._wire = wire
        self.handle = handle
        self._clock = clock
        self._borrowed = BorrowedObjects(wire, handle, enabled=shares_objects)
        self._ids: deque[str] = deque()
        self._next_ids = 1

    async def init(self) -> None:
        self._ids.clear()
        await self._do("init")

    def generate_session_id(self) -> str:
        """Return the next id. The backend makes each in a separate call; one message carries many."""
        if not self._ids:
            ids = self._wire.call_now("generateSessionIds", **self._common(), count=self._next_ids)
            if not isinstance(ids, list) or len(ids) != self._next_ids:
                raise self._wire.fault(f"answered a call for {self._next_ids} session ids with something else")
            self._ids.extend(ids)
            self._next_ids = min(MOST_IDS, 2 * self._next_ids)
        session_id = self._ids.popleft()
        if not isinstance(session_id, str):
            raise ForeignAnswerError(f"generateSessionId returned {_kind(session_id)}, not text")
        return session_id

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        number = self._borrowed.number()
        await self._do("createSession", session=to_foreign(session), **_given(lend=number, ttl=ttl))
        self._borrowed.watch(number, mutable(session), lambda: to_foreign(session))

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        named = _foreign_changes(changes)
        mark(named)  # an update is not validated yet, and the JSON encoder would turn the key 1 into "1" silently
        number = self._borrowed.number()
        await self._do(
            "updateSession", identity=identity, sessionId=session_id, changes=named, **_given(lend=number, ttl=ttl)
        )
        self._borrowed.watch(number, [changes], lambda: _foreign_changes(changes))

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        number = self._borrowed.number()
        answer = await self._ask("getSession", identity=identity, sessionId=session_id, **_given(lend=number))
        if answer is None:
            return None
        session = from_foreign(answer, "getSession")
        self._borrowed.watch(number, mutable(session), lambda: to_foreign(session))
        return session

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        number = self._borrowed.number()
        answer = await self._ask("getIdentitySessionsData", identity=identity, **_given(lend=number))
        sessions = [from_foreign(item, "getIdentitySessionsData") for item in _list(answer, "getIdentitySessionsData")]
        listed = tuple(sessions)
        if len(listed) <= LONGEST:
            objects = [item for session in listed for item in mutable(session)]
            self._borrowed.watch(number, objects, lambda: [to_foreign(session) for session in listed])
        return sessions

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return _texts(await self._ask("getIdentityMcpSessions", identity=identity), "getIdentityMcpSessions")

    async def remove_session(self, identity: str, session_id: str) -> None:
        await self._do("removeSession", identity=identity, sessionId=session_id)

    async def get_all_session_ids(self) -> list[str]:
        return _texts(await self._ask("getAllSessionIds"), "getAllSessionIds")

    async def clear_all(self) -> None:
        await self._do("clearAll")

    async def cleanup_expired_sessions(self) -> None:
        await self._do("cleanupExpiredSessions")

    async def disconnect(self) -> None:
        self._ids.clear()
        await self._do("disconnect")

    async def _ask(self, call: str, **arguments: Any) -> Any:
        await self._borrowed.settle()
        return await self._wire.call(call, **self._common(), **arguments)

    async def _do(self, call: str, **arguments: Any) -> None:
        if await self._ask(call, **arguments) is not None:
            raise self._wire.fault(f"answered {call!r} with a result other than null")

    def _common(self) -> dict[str, Any]:
        return {"handle": self.handle} if self._clock is None else {"handle": self.handle, "now": self._clock()}


def to_foreign(session: SessionData) -> dict[str, Any]:
    """Return the session's form in a message: camelCase, without the fields that are absent."""
    return {WIRE_NAMES[field]: value for field, value in session.__dict__.items() if value is not None}


def _foreign_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {WIRE_NAMES.get(field, field): UNDEFINED if value is None else value for field, value in changes.items()}


def from_foreign(answer: Any, call: str) -> SessionData:
    """Return the session that a backend returned; ``null`` means absent. Raises :class:`ForeignAnswerError`."""
    if not isinstance(answer, Mapping):
        raise ForeignAnswerError(f"{call} returned {_kind(answer)} instead of a session")
    if not answer.keys() <= FIELD_NAMES.keys():
        raise ForeignAnswerError(f"{call} returned a session with an unknown field")
    try:
        return SessionData.model_validate({name: value for name, value in answer.items() if value is not None})
    except InvalidSessionError as error:
        reason = str(error)
    raise ForeignAnswerError(f"{call} returned an invalid session: {reason}")


def _list(answer: Any, call: str) -> list[Any]:
    if not isinstance(answer, list):
        raise ForeignAnswerError(f"{call} returned {_kind(answer)}, not a list")
    return answer


def _texts(answer: Any, call: str) -> list[str]:
    for item in _list(answer, call):
        if not isinstance(item, str):
            raise ForeignAnswerError(f"{call} returned a list that contains {_kind(item)} instead of an id")
    texts: list[str] = answer
    return texts


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"
