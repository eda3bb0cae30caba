"""The report: plain data, made once, read by every face, and merged across runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_mcp_storage.outcome import Outcome

CONFORMANT = "conformant"
WITH_DEVIATIONS = "conformant_with_deviations"
NOT_CONFORMANT = "not_conformant"
NOT_MEASURED = "not_measured"


class ReportError(ValueError):
    """A file is not a report of this suite."""


@dataclass
class ClauseReport:
    """What became of one clause on one backend. ``seconds``: how long its tests took together."""

    id: str
    level: str
    outcome: Outcome
    statement: str = ""
    group: str = ""
    examples: int = 0
    seconds: float = 0.0
    message: str = ""
    should: str = ""
    history: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    deviation: str = ""
    reproduce: str = ""


@dataclass
class BackendReport:
    """A backend, its verdict, and every clause of the revision."""

    name: str
    harness: str
    version: str
    capabilities: list[str]
    verdict: str
    clauses: list[ClauseReport]
    undeclared: list[str] = field(default_factory=list)
    """Capabilities that seem to be there and are not declared."""

    def count(self, outcome: Outcome, level: str = "") -> int:
        """How many clauses ended so."""
        return sum(1 for each in self.clauses if each.outcome is outcome and level in ("", each.level))


@dataclass
class Report:
    """One run. ``groups``: title by group id. ``problems``: why the run fails although no clause did."""

    suite: str
    revision: str
    tier: str
    seed: int
    backends: list[BackendReport]
    groups: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As ``--mcp-report FILE.json`` writes it."""
        data = asdict(self)
        for clause in _clauses(data):
            clause["outcome"] = clause["outcome"].value
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Read a report back. Raises :class:`ReportError`."""
        try:
            backends = [
                BackendReport(
                    **{
                        **backend,
                        "clauses": [
                            ClauseReport(**{**row, "outcome": Outcome(row["outcome"])}) for row in backend["clauses"]
                        ],
                    }
                )
                for backend in data["backends"]
            ]
            return cls(**{**data, "backends": backends})
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(f"not a report of this suite: {type(error).__name__}: {error}") from None

    @classmethod
    def load(cls, path: Path) -> Report:
        """The report in a JSON file. Raises :class:`ReportError`."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ReportError(f"{path}: {error}") from None
        return cls.from_json(data)


def _clauses(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for backend in data["backends"]:
        yield from backend["clauses"]
