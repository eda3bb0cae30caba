"""The outcome of a clause, and of one test of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

UNDECLARED = "there, but not declared: "
"""A note with this beginning names a capability that HA-1 found and that the harness does not declare."""

LEFT_OUT = "left out: "
"""A note with this beginning names a part of the clause that was not judged."""


class Outcome(Enum):
    """The five outcomes of a clause."""

    PASSED = "passed"
    FAILED = "failed"
    DEVIATION = "deviation"
    NOT_APPLICABLE = "not_applicable"
    NOT_MEASURED = "not_measured"

    @property
    def words(self) -> str:
        """Return the outcome in words."""
        return self.value.replace("_", " ")


@dataclass
class Measurement:
    """What one test of one clause saw on one backend; plain data, so that it travels between processes.

    ``history``: the calls that show the failure, a line each. ``notes``: optional parts that were left out, and the
    like. ``fault``: a traceback, if the harness and not the backend failed. ``seconds``: how long it took.
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
    observed: list[Measurement] = field(default_factory=list)
    """Failures of other clauses that an observer saw after the test."""
    seed: int | None = None
    """The seed that found the failure, if it is another than the run's."""
    scenario: dict[str, Any] = field(default_factory=dict)
    """The smallest sequence of calls that shows the failure, if a replay has confirmed it; JSON."""

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as JSON, with the outcome by its value."""
        return {**asdict(self), "outcome": self.outcome.value, "observed": [each.to_json() for each in self.observed]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measurement:
        """Return the measurement that :meth:`to_json` wrote."""
        observed = [cls.from_json(each) for each in data.get("observed", ())]
        return cls(**{**data, "outcome": Outcome(data["outcome"]), "observed": observed})
