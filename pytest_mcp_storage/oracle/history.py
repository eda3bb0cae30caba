"""Split what concurrent callers saw by session, and explain it or not (CO-3, DU-2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.linearizability import BOUND, Fields, Kind, Operation, frozen, is_linearizable
from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.oracle.timeline import brief, timeline
from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.comparison import FIELDS
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError


def assert_linearizable(calls: Iterable[Call], *, bound: int = BOUND) -> int:
    """Return how many results were explained, session by session; before the first call no session exists.

    A history is linearizable if that of each session is (Herlihy and Wing, 1990). Session ids must differ between
    identities. Raise :class:`Violation`, with a timeline up to the first result that no order explains, and
    :class:`NotMeasurable` if a search visits more than ``bound`` states.
    """
    calls = list(calls)
    explained = 0
    for name in sorted({name for call in calls if (name := subject(call)) is not None}):
        operations = operations_on(name, calls)
        if not is_linearizable(operations, bound=bound):
            culprit, known = _first_unexplained(name, calls, bound)
            raise Violation(
                f"no order of the calls on session {name[1]!r} explains {brief(culprit, name[1])}",
                should="let each call take effect at one moment between its start and its end",
                history=timeline([call for call in known if list(_operations(call, name))], name[1], culprit),
            )
        explained += sum(operation.end is not None for operation in operations)
    return explained


def operations_on(name: SessionKey, calls: Iterable[Call]) -> list[Operation]:
    """Return what the calls say about one session."""
    return [operation for call in calls for operation in _operations(call, name)]


def subject(call: Call) -> SessionKey | None:
    """Return the one session that a call is about; ``None`` if it is about several."""
    match call.method, call.arguments:
        case "create_session", (SessionData() as session,):
            return session.identity, session.session_id
        case "update_session" | "get_session" | "remove_session", (str(identity), str(session_id), *_):
            return identity, session_id
    return None


def fields_of(session: SessionData) -> Fields:
    """Return a session's fields without the absent ones."""
    return frozen({field: value for field in FIELDS if (value := getattr(session, field, None)) is not None})


def _first_unexplained(name: SessionKey, calls: Sequence[Call], bound: int) -> tuple[Call, list[Call]]:
    """Return the first result, in time, that no order explains, and the calls as they were known at that moment."""
    for last in sorted((call for call in calls if call.end), key=lambda call: call.end):
        known = [_known_at(call, last.end) for call in calls if call.start <= last.end]
        if not is_linearizable(operations_on(name, known), bound=bound):
            return last, known
    raise AssertionError("every answer is explained")


def _known_at(call: Call, moment: int) -> Call:
    """Return the call as it was known then: without its result if that came later."""
    return call if call.end <= moment else replace(call, end=0, result=None)


def _operations(call: Call, name: SessionKey) -> Iterator[Operation]:
    """Return what one call says about one session: several things only if a listing returns it several times."""
    refused = isinstance(call.result, (SessionExistsError, SessionNotFoundError))
    answered = bool(call.end) and (refused or not isinstance(call.result, Exception))
    end = call.end if answered else None
    about = subject(call)
    if about == name and call.method != "get_session":
        kind, fields = _write(call, refused=refused)
        yield Operation(kind, call.start, end, fields)
    elif answered:
        for kind, fields in _seen(call, name, about):
            yield Operation(kind, call.start, end, fields)
    elif call.method == "clear_all":
        yield Operation(Kind.REMOVED, call.start, None)


def _write(call: Call, *, refused: bool) -> tuple[Kind, Fields | None]:
    match call.method:
        case "create_session":
            return (Kind.PRESENT, None) if refused else (Kind.CREATED, fields_of(call.arguments[0]))
        case "update_session":
            return (Kind.ABSENT, None) if refused else (Kind.UPDATED, frozen(call.arguments[2]))
    return Kind.REMOVED, None


def _seen(call: Call, name: SessionKey, about: SessionKey | None) -> list[tuple[Kind, Fields | None]]:
    identity, session_id = name
    result: Any = call.result
    match call.method:
        case "clear_all":
            return [(Kind.REMOVED, None)]
        case "get_session" if about == name:
            return [(Kind.READ, result and fields_of(result))]
        case "get_identity_sessions_data" if call.arguments == (identity,):
            shown = [fields_of(each) for each in result if each.session_id == session_id]
            return [(Kind.READ, fields) for fields in shown] or [(Kind.READ, None)]
        case "get_identity_mcp_sessions" if call.arguments == (identity,):
            return [(Kind.PRESENT if session_id in result else Kind.ABSENT, None)]
        case "get_all_session_ids":
            return [(Kind.PRESENT if session_id in result else Kind.ABSENT, None)]
    return []
