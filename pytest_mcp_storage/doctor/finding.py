"""One result of a check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it. No finding contains a key, a password or a session's content."""

    check: str
    """The check's name, which stays the same in later versions: ``redis.eviction``."""
    level: Level
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.level:<8}{self.check}: {self.message}" + (f"\n        fix: {self.remedy}" if self.remedy else "")


def has_error(findings: Iterable[Finding]) -> bool:
    """Return whether a finding is an error."""
    return any(finding.level == "error" for finding in findings)


def rows_with(count: int, what: str) -> str:
    """Return ``1 row is in clear`` or ``2 rows are in clear``."""
    return f"1 row is {what}" if count == 1 else f"{count:,} rows are {what}"
