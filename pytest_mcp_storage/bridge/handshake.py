"""The bridge's answer to ``hello``: its name, capabilities and limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_mcp_storage.bridge.wire import LONGEST_LINE, Wire
from pytest_mcp_storage.spec.capabilities import Capability

PROTOCOL = 1
SMALLEST_LINE = 2**16
"""Bytes: a bridge that accepts less can't accept an ordinary session."""


@dataclass(frozen=True)
class Hello:
    """A bridge's answer to ``hello``."""

    name: str
    version: str
    capabilities: frozenset[Capability]
    dedicated: bool
    default_ttl: float
    """Seconds that a session lives if neither a call nor ``open`` gives a TTL."""
    time_limit: float
    """Seconds within which the backend reports a store that can't be reached (FA-1)."""
    longest_line: int
    """Bytes that the bridge accepts in a line."""
    shares_objects: bool
    """Whether the bridge repeats on the backend's objects what callers change in theirs, by ``alter``."""


async def exchange_hello(wire: Wire) -> Hello:
    """Send ``hello`` and return the answer. Raises ``BridgeFault`` for another version or an invalid answer."""
    answer = await wire.call("hello", limit=wire.limits.start, protocol=PROTOCOL, maxLine=LONGEST_LINE)
    if not isinstance(answer, dict):
        raise wire.fault("answered 'hello' with something that is not an object")
    if answer.get("protocol") != PROTOCOL:
        raise wire.fault(f"uses version {answer.get('protocol')!r} of the protocol, but this suite uses {PROTOCOL}")
    wrong = [name for name, check in _MEMBERS.items() if name in answer and not check(answer[name])]
    wrong += [name for name in ("name", "version", "capabilities") if name not in answer]
    wrong += sorted(answer.keys() - _MEMBERS.keys())
    if wrong:
        raise wire.fault(f"answered 'hello' with missing, unknown or invalid members: {', '.join(wrong)}")
    unknown = sorted(set(answer["capabilities"]) - Capability.__members__.keys())
    if unknown:
        known = ", ".join(Capability.__members__)
        raise wire.fault(f"declares unknown capabilities: {', '.join(unknown)} (known: {known})")
    return Hello(
        name=answer["name"],
        version=answer["version"],
        capabilities=_capabilities(answer),
        dedicated=answer.get("dedicated", True),
        default_ttl=float(answer.get("defaultTtl", 43_200)),
        time_limit=float(answer.get("timeLimit", 10)),
        longest_line=answer.get("maxLine", LONGEST_LINE),
        shares_objects=answer.get("sharesObjects", False),
    )


def _capabilities(answer: Mapping[str, Any]) -> frozenset[Capability]:
    """Return what the bridge declares. One that names no default TTL is asked for another, and may decline."""
    declared = frozenset(Capability[name] for name in answer["capabilities"])
    return declared if "defaultTtl" in answer else declared | {Capability.DEFAULT_TTL}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_MEMBERS: Mapping[str, Callable[[Any], bool]] = {
    "protocol": lambda value: type(value) is int,
    "name": lambda value: isinstance(value, str) and value != "",
    "version": lambda value: isinstance(value, str),
    "capabilities": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    "dedicated": lambda value: isinstance(value, bool),
    "sharesObjects": lambda value: isinstance(value, bool),
    "defaultTtl": lambda value: _is_number(value) and 0 < value < math.inf,
    "timeLimit": lambda value: _is_number(value) and 0 < value < math.inf,
    "maxLine": lambda value: type(value) is int and value >= SMALLEST_LINE,
}
