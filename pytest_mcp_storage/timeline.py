"""Calls that overlap, drawn so that a person sees who called what, when, and what came back."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mcp_storage.witness import Call

WIDTH = 28
"""Characters for the whole span of time."""

MOST = 40
"""Lines; of a longer history the last ones are shown."""


def timeline(calls: Sequence[Call], culprit: Call | None = None) -> list[str]:
    """A line a call, by its start: milliseconds since the first, a bar from start to end, the call and its answer.

    ``culprit``: the call that is marked. A call that did not return has a bar to the end, and no second number.
    """
    if not calls:
        return []
    ordered = sorted(calls, key=lambda call: call.start)
    first = ordered[0].start
    last = max(first + 1, *(max(call.start, call.end) for call in ordered))
    lines = [_line(call, first, last, marked=call is culprit) for call in ordered]
    return lines if len(lines) <= MOST else [f"… {len(lines) - MOST} calls before …", *lines[-MOST:]]


def _line(call: Call, first: int, last: int, *, marked: bool) -> str:
    scale = WIDTH / (last - first)
    begin = min(WIDTH - 1, int((call.start - first) * scale))
    end = max(begin + 1, round((call.end - first) * scale)) if call.end else WIDTH
    bar = (" " * begin + ("█" if call.end else "░") * (end - begin)).ljust(WIDTH)
    moments = f"{_milliseconds(call.start - first)} – {_milliseconds(call.end - first) if call.end else '    ?   '}"
    return f"{moments} ms │{bar}│ {call}{'   ◀ no order explains this' if marked else ''}"


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:8.3f}"
