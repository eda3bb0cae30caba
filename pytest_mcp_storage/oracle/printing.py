"""Print a sequence of calls: relative times, short sessions, and the expected next to the returned value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.engine.recording import HandleOptions, History
from pytest_mcp_storage.oracle.judge import Finding
from pytest_mcp_storage.oracle.scenario import PASS, Scenario, Step
from pytest_mcp_storage.oracle.simplification import REQUIRED
from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.describe import describe, short_repr
from reference_backends import SessionData

ARROW = "  →  "
"""Between a call and its result; the renderers split a line here."""


def history_of(scenario: Scenario, finding: Finding, mark: str, raised: Mapping[int, str]) -> list[str]:
    """Return a line for each call, with the time since the first; the last line has the result that is wrong.

    ``raised``: the errors of the calls before it, which are right.
    """
    lines: list[str] = []
    passed = 0.0
    timed = any(step.method == PASS for step in scenario.steps)
    names = {step.handle for step in scenario.steps if step.handle}
    for place, step in enumerate(scenario.steps):
        if step.method == PASS:
            passed += step.seconds
            continue
        line = call(step, scenario.handles if len(names) > 1 else {})
        if timed:
            line = f"{f'+{round(passed, 3):.12g} s':<7} {line}"
        if place == finding.place:
            line += f"{ARROW}{returned(finding.returned, mark)}"
        elif place in raised:
            line += f"{ARROW}raised {raised[place]}"
        lines.append(line)
    return lines


LONGEST_PERIOD = 8
"""The most calls in a group that is recognised when it is repeated."""


def recorded(history: History, most: int = 16) -> list[str]:
    """Return a line for each entry of a history that could not be reduced; of a long one the beginning and the end.

    Calls that are made again and again are printed once, with their number.
    """
    lines: list[str] = []
    several = len(history.handles) > 1
    for entry in history.entries:
        if isinstance(entry, Call):
            step = Step(entry.handle, entry.method, entry.arguments, entry.ttl)
            line = call(step, history.handles if several else {})
            answer = (
                returned(entry.result, "") if entry.end else "was cancelled" if entry.cancelled else "did not return"
            )
            lines.append(line if entry.end and entry.result is None else f"{line}{ARROW}{answer}")
        else:
            lines.append(str(entry))
    shown = folded([str(unmarked(line, history.mark)) for line in lines])
    if len(shown) <= most:
        return shown
    head = most // 4
    return [*shown[:head], f"… {len(shown) - most} calls …", *shown[head - most :]]


def folded(lines: list[str]) -> list[str]:
    """Return the lines with groups that are repeated at once printed once."""
    found: list[str] = []
    place = 0
    while place < len(lines):
        period, times = max(
            ((period, _times(lines, place, period)) for period in range(1, LONGEST_PERIOD + 1)),
            key=lambda each: (each[0] * (each[1] - 1), -each[0]),
        )
        if times < 3:  # the line about them would save nothing
            found.append(lines[place])
            place += 1
            continue
        found += lines[place : place + period]
        found.append(f"… the same {times - 1} more times …" if period == 1 else
                     f"… these {period} calls {times - 1} more times …")  # fmt: skip
        place += period * times
    return found


def _times(lines: list[str], place: int, period: int) -> int:
    """Count how often the group of lines at a place follows itself."""
    group, times = lines[place : place + period], 1
    while len(group) == period and lines[place + times * period : place + (times + 1) * period] == group:
        times += 1
    return times


def call(step: Step, handles: dict[str, HandleOptions]) -> str:
    """Return a call as text. ``handles``: name the handle, if there are several."""
    given = [short(each) for each in step.arguments]
    given += [] if step.ttl is None else [f"ttl={step.ttl!r}"]
    start = f"{step.handle}." if handles else ""
    return f"{start}{step.method}({', '.join(given)})"


def short(value: Any) -> str:
    """Return a value as text; of a session its names, and the fields that differ from the plain one."""
    if not isinstance(value, SessionData):
        return short_repr(value, 120)
    fields = value.model_dump(warnings=False)
    return session_text({name: each for name, each in fields.items() if each is not None})


def session_text(fields: dict[str, Any]) -> str:
    """Return a session's fields as text: ``alice/s1 {tokens: {…}}``."""
    names = f"{fields.get('identity')}/{fields.get('session_id')}"
    rest = {
        name: each
        for name, each in fields.items()
        if name not in ("identity", "session_id") and REQUIRED.get(name) != each
    }
    shown = ", ".join(f"{name}={short_repr(each, 80)}" for name, each in rest.items())
    return f"{names} {{{shown}}}" if rest else names


def expected_text(expected: dict[str, Any]) -> str:
    """Return what a call should return, as text."""
    match expected:
        case {"raises": name}:
            return f"raise {name}"
        case {"session": None} | {"returns": None}:
            return "None"
        case {"session": fields}:
            return session_text(fields)
        case {"sessions": sessions}:
            return f"[{', '.join(map(session_text, sessions))}]"
        case {"ids": ids}:
            return repr(ids)
        case {"among": ids, "not": gone}:
            parts = [f"a list with {short_repr(ids)}"] if ids else ["a list"]
            return " and ".join([*parts, *([f"without {short_repr(gone)}"] if gone else [])])
    return short_repr(expected)


def returned(result: Any, mark: str) -> str:
    """Return the result of a call as text, without the mark of its example."""
    if isinstance(result, BaseException):
        text = describe(result)
    elif isinstance(result, list):
        text = f"[{', '.join(map(short, result[:5]))}{', …' if len(result) > 5 else ''}]"
    else:
        text = short(result)
    return str(unmarked(text, mark))


def unmarked(value: Any, mark: str) -> Any:
    """Return a value without the mark of an example in its texts."""
    if not mark:
        return value
    if isinstance(value, str):
        return value.replace(f"{mark}.", "").replace(f".{mark}", "")
    if isinstance(value, dict):
        return {name: unmarked(each, mark) for name, each in value.items()}
    return [unmarked(each, mark) for each in value] if isinstance(value, list) else value
