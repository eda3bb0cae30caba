"""Clause ids in order and in short form. They may come from another program's report, and be any text."""

from __future__ import annotations

import re
from collections.abc import Iterable


def natural(id: str) -> list[str | int]:
    """Return a sort key for ids: EX-2 before EX-10."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]{1,9})", id))]


def compact(ids: Iterable[str]) -> str:
    """Join ids to a list, with three and more in a row as a range: ``EN-1 to EN-11, MX-2``."""
    runs: list[list[str]] = []
    for id in ids:
        if runs and _follows(runs[-1][-1], id):
            runs[-1].append(id)
        else:
            runs.append([id])
    return ", ".join(", ".join(run) if len(run) < 3 else f"{run[0]} to {run[-1]}" for run in runs)


def _follows(before: str, after: str) -> bool:
    one, two = (re.fullmatch(r"(.*-)([0-9]{1,9})", id) for id in (before, after))
    return bool(one and two and one[1] == two[1] and int(one[2]) + 1 == int(two[2]))
