"""What became of a clause, and of one test of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

UNDECLARED = "there, but not declared: "
"""A note with this beginning names a capability that HA-1 found and that the harness does not declare."""

LEFT_OUT = "left out: "
"""A note with this beginning names a part of the clause that was not judged."""


class Outcome(Enum):
    """The five things that can be said of a clause."""

    PASSED = "passed"
    FAILED = "failed"
    DEVIATION = "deviation"
    NOT_APPLICABLE = "not_applicable"
    NOT_MEASURED = "not_measured"

    @property
    def words(self) -> str:
        """As people read it."""
        return self.value.replace("_", " ")


@dataclass
class Measurement:
    """What one test of one clause saw on one backend; plain data, so that it travels between processes.

    ``history``: the calls that show the failure, a line each. ``notes``: optional parts that were left out, and the
    like. ``fault``: a traceback, where the harness and not the backend broke down. ``seconds``: how long it took.
    """

    clause: str
    test: str
    outcome: Outcome
    message: str = ""
    should: str = ""
    history: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fault: str = ""
    examples: int = 0
    seconds: float = 0.0
    seed: int | None = None
    """The seed that found the failure, if it is another than the run's."""
    scenario: dict[str, Any] = field(default_factory=dict)
    """The smallest sequence of calls that shows the failure, if a replay has confirmed it; JSON."""

    def to_json(self) -> dict[str, Any]:
        """As it travels, with the outcome by its value."""
        return {**asdict(self), "outcome": self.outcome.value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measurement:
        """The same, back again."""
        return cls(**{**data, "outcome": Outcome(data["outcome"])})
