"""What distinguishes a failure from others, without names, numbers and paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MOST_WORDS = 8
_VARIABLE = re.compile(r"""'[^']*'|"[^"]*"|\{.*|\[.*|\(.*|=.*|\d[\d.]*""")


def kind_of(message: str, scenario: Mapping[str, Any]) -> str:
    """Return how a clause failed: the method and the fault that a replay has confirmed, or the words of the message.

    A fault of a plain sequence is not of the clause's own calls, and does not count.
    """
    if (found := scenario.get("finding")) and not found.get("plain"):
        return f"{found['method']} {found['kind']}"
    return " ".join(_VARIABLE.sub(" ", message).split()[:MOST_WORDS])
