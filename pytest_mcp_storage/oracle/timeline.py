"""Draw the overlapping calls on one session: who called what, when, and what was returned."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.describe import describe, short_repr
from reference_backends import SessionData

WIDTH = 24
"""Characters for the whole span of time."""

MOST = 40
"""Lines; of a longer history the last ones are shown."""

TELLING = ("server_id", "server_name", "server_url", "callback_url", "headers", "active", "client_information",
           "tokens", "code_verifier", "client_id")  # fmt: skip
"""What is shown of a session."""


def timeline(calls: Sequence[Call], session_id: str, culprit: Call | None = None) -> list[str]:
    """Return a line for each call, by its start: milliseconds since the first, a bar, call and result.

    ``culprit``: the call that is marked. A call that did not return has a bar to the end, and no second number.
    """
    if not calls:
        return []
    ordered = sorted(calls, key=lambda call: call.start)
    first = ordered[0].start
    last = max(first + 1, *(max(call.start, call.end) for call in ordered))
    lines = [
        f"{_bar(call, first, last)} {brief(call, session_id)}{'   ◀ no order explains this' if call is culprit else ''}"
        for call in ordered
    ]
    return lines if len(lines) <= MOST else [f"… {len(lines) - MOST} calls before …", *lines[-MOST:]]


def brief(call: Call, session_id: str) -> str:
    """Return the call and its result, as far as they concern one session, on a line."""
    given = call.arguments
    match call.method:
        case "create_session":
            shown = _shown(given[0], session_id)
        case "update_session":
            shown = short_repr(given[2], 120)
        case _:
            shown = ""
    answer = _answer(call.result, session_id) if call.end else "no answer"
    return f"{call.handle}.{call.method}({shown}) → {answer}"


def _answer(result: object, session_id: str) -> str:
    if isinstance(result, BaseException):
        return describe(result)
    if isinstance(result, list):
        mine = [item for item in result if item == session_id or getattr(item, "session_id", None) == session_id]
        return f"[{', '.join(_shown(item, session_id) for item in mine) or 'without it'}] of {len(result)}"
    return _shown(result, session_id)


def _shown(value: object, session_id: str) -> str:
    if isinstance(value, SessionData):
        fields = {field: getattr(value, field) for field in TELLING}
        return short_repr({field: content for field, content in fields.items() if content is not None}, 160)
    return "it" if value == session_id else short_repr(value, 120)


def _bar(call: Call, first: int, last: int) -> str:
    scale = WIDTH / (last - first)
    begin = min(WIDTH - 1, int((call.start - first) * scale))
    end = max(begin + 1, round((call.end - first) * scale)) if call.end else WIDTH
    bar = (" " * begin + ("█" if call.end else "░") * (end - begin)).ljust(WIDTH)
    until = f"{(call.end - first) / 1e6:8.3f}" if call.end else "       ?"
    return f"{(call.start - first) / 1e6:8.3f} –{until} ms │{bar}│"
