"""What distinguishes a failure from others, without names, numbers and paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MOST_WORDS = 8
_VARIABLE = re.compile(r"""'[^']*'|"[^"]*"|\{.*|\[.*|\(.*|=.*|\d[\d.]*""")


def kind_of(message: str, scenario: Mapping[str, Any]) -> str:
    """Return how a clause failed: the method and the fault that a replay has confirmed, or the words of the message."""
    if found := scenario.get("finding"):
        return f"{found['method']} {found['kind']}"
    return " ".join(_VARIABLE.sub(" ", message).split()[:MOST_WORDS])


def shape_of(scenario: Mapping[str, Any]) -> str:
    """Return the calls of the smallest history by their methods, with a sign for each TTL and handle."""
    steps = scenario.get("steps", ())
    handles = list(dict.fromkeys(step["handle"] for step in steps if step["handle"]))
    found = scenario.get("finding", {})
    calls = [
        f"{step['method']}{handles.index(step['handle']) or '' if step['handle'] else ''}{'+ttl' if step['ttl'] else ''}"
        for step in steps
    ]
    return " ".join([*calls, str(found.get("kind", ""))]).strip()
