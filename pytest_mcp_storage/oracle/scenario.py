"""A sequence of calls on a store, as plain data: it can be replayed, reduced, printed and written as a test."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pytest_mcp_storage.engine.recording import HandleOptions, History, Passed
from pytest_mcp_storage.spec.call import Call
from reference_backends import SessionData

PASS = "pass_time"  # noqa: S105
SESSION = "$session"
"""The key by which JSON marks the fields of a session."""
NUMBER = "$number"
"""The key by which JSON marks an infinite TTL, or one that is no number."""
MOST_STEPS = 400
"""Longer histories are not replayed."""


@dataclass(frozen=True)
class Step:
    """A call on a handle, or ``seconds`` that pass (method :data:`PASS`)."""

    handle: str
    method: str
    arguments: tuple[Any, ...] = ()
    ttl: Any = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """Steps, and how their handles are opened. ``literal``: names that a replay must not mark with its example."""

    steps: tuple[Step, ...]
    handles: dict[str, HandleOptions] = field(default_factory=dict)
    literal: frozenset[str] = frozenset()

    def with_step(self, place: int, step: Step) -> Scenario:
        """Return the same with another step at this place."""
        return replace(self, steps=(*self.steps[:place], step, *self.steps[place + 1 :]))

    def to_json(self) -> dict[str, Any]:
        """Return the scenario as JSON."""
        used = sorted({step.handle for step in self.steps} - {""})
        return {
            "handles": {name: asdict(self.handles[name]) for name in used},
            "steps": [
                {"handle": each.handle, "method": each.method, "arguments": [_to_json(a) for a in each.arguments],
                 "ttl": _to_json(each.ttl), "seconds": each.seconds}
                for each in self.steps
            ],
            "literal": sorted(self.literal),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Scenario:
        """Return the scenario that :meth:`to_json` wrote."""
        steps = tuple(
            Step(
                each["handle"],
                each["method"],
                tuple(map(_from_json, each["arguments"])),
                _from_json(each["ttl"]),
                each["seconds"],
            )
            for each in data["steps"]
        )
        handles = {
            name: HandleOptions(tuple(each["keys"]), each["default_ttl"], each["repeatable"])
            for name, each in data["handles"].items()
        }
        return cls(steps, handles, frozenset(data.get("literal", ())))


def scenario_of(history: History) -> Scenario | None:
    """Return the scenario of a recorded history, without the mark of its example; ``None`` if it can't be replayed."""
    if len(history.entries) > MOST_STEPS or not all(each.repeatable for each in history.handles.values()):
        return None
    steps: list[Step] = []
    literal: set[str] = set()
    for entry in history.entries:
        if isinstance(entry, Passed):
            steps.append(Step("", PASS, seconds=entry.seconds))
        elif isinstance(entry, Call):
            arguments = tuple(_unmarked(entry.method, entry.arguments, history.mark, literal))
            steps.append(Step(entry.handle, entry.method, arguments, entry.ttl))
        elif "stored" in entry:
            return None  # the test changed the store without the backend
    if not all(_is_plain(step.arguments) and (_is_plain(step.ttl) or type(step.ttl) is float) for step in steps):
        return None
    return Scenario(tuple(steps), dict(history.handles), frozenset(literal))


def _unmarked(method: str, arguments: tuple[Any, ...], mark: str, literal: set[str]) -> list[Any]:
    if method == "create_session" and isinstance(arguments[0], SessionData):
        session = arguments[0]
        identity, session_id = _names((session.identity, session.session_id), mark, literal)
        return [session.model_copy(update={"identity": identity, "session_id": session_id})]
    return [*_names(arguments[:2], mark, literal), *arguments[2:]]


def _names(names: tuple[Any, ...], mark: str, literal: set[str]) -> list[Any]:
    found: list[Any] = []
    for name, affix in zip(names, (f"{mark}.", f".{mark}"), strict=False):
        if not isinstance(name, str):
            found.append(name)
            continue
        own = name.removeprefix(affix) if affix.endswith(".") else name.removesuffix(affix)
        if own == name:
            literal.add(name)
        found.append(own)
    return found


def _is_plain(value: Any) -> bool:
    """Say whether JSON can hold the value, so that it travels and can be written as source."""
    if isinstance(value, SessionData):
        return _is_plain(value.model_dump(warnings=False))
    if isinstance(value, dict):
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (str, int, bool)


def _to_json(value: Any) -> Any:
    if isinstance(value, SessionData):
        return {SESSION: {name: each for name, each in value.model_dump().items() if each is not None}}
    if isinstance(value, float) and not math.isfinite(value):
        return {NUMBER: repr(value)}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {SESSION}:
        return SessionData.model_validate(value[SESSION])
    if isinstance(value, dict) and set(value) == {NUMBER}:
        return float(value[NUMBER])
    return value
