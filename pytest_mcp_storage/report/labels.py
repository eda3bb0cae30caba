"""How each renderer names and marks an outcome and a verdict: never by colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.report.model import (
    CONFORMANT,
    NOT_CONFORMANT,
    NOT_MEASURED,
    WITH_DEVIATIONS,
    BackendReport,
    ClauseReport,
)
from pytest_mcp_storage.spec.outcome import Outcome


@dataclass(frozen=True)
class Label:
    """``key``: for style sheets; ``mark``: one character; ``words``: in full; ``meaning``: a line of the legend."""

    key: str
    mark: str
    words: str
    meaning: str


PASSED = Label("passed", "✓", "passed", "every test of the clause passed")
FAILED = Label("failed", "✗", "failed", "the store broke a MUST; a history of calls shows it")
ADVICE = Label("advice", "!", "failed SHOULD", "a SHOULD was broken; it fails the run only with --mcp-strict")
DEVIATION = Label("deviation", "D", "deviation", "broken, and listed as known with a reason")
NOT_APPLICABLE = Label("not-applicable", "–", "not applicable", "the harness does not declare what the clause needs")
UNMEASURED = Label("not-measured", "?", "not measured", "unknown; a MUST that was not measured prevents a good verdict")

LEGEND = (PASSED, FAILED, ADVICE, DEVIATION, NOT_APPLICABLE, UNMEASURED)

_BY_OUTCOME = {
    Outcome.PASSED: PASSED,
    Outcome.FAILED: FAILED,
    Outcome.DEVIATION: DEVIATION,
    Outcome.NOT_APPLICABLE: NOT_APPLICABLE,
    Outcome.NOT_MEASURED: UNMEASURED,
}
_VERDICTS = {
    CONFORMANT: Label("passed", "✓", "conformant", "every applicable MUST was measured and passed"),
    WITH_DEVIATIONS: Label(
        "deviation", "D", "conformant with deviations", "the same, except for the listed deviations"
    ),
    NOT_CONFORMANT: Label("failed", "✗", "not conformant", "a MUST was broken"),
    NOT_MEASURED: Label("not-measured", "?", "not measured", "nothing failed, but some MUST was not measured"),
}


def label(clause: ClauseReport) -> Label:
    """Return the label of a clause's outcome."""
    return ADVICE if clause.advice else _BY_OUTCOME[clause.outcome]


def history_name(finding: Mapping[str, Any] | None) -> str:
    """Return what a printed history is. ``finding``: what its replay has confirmed, if anything."""
    if not finding:
        return "history, as recorded"
    if finding.get("plain"):
        return "a plain sequence of calls that fails too"
    return "smallest history" if finding["minimal"] else "history, reduced until the time ran out"


def verdict(backend: BackendReport) -> Label:
    """Return the label of a backend's verdict; an unknown verdict is shown as it is."""
    unknown = Label("not-measured", "?", backend.verdict.replace("_", " "), "a verdict of another version of the suite")
    return _VERDICTS.get(backend.verdict, unknown)


def extent(backend: BackendReport, tier: str = "", *, most: int | None = None) -> str:
    """Return how far a good verdict reaches, ``smoke; not judged: encryption, outages``.

    A store is not called conformant without it: what the harness does not declare is not judged. ``most``: name at most
    this many parts.
    """
    if backend.verdict not in (CONFORMANT, WITH_DEVIATIONS):
        return ""
    parts = [one_line(part) for part in backend.not_judged]
    if most is not None and len(parts) > most:
        parts[most:] = [f"+{len(parts) - most}"]
    said = [one_line(backend.tier or tier), f"not judged: {', '.join(parts)}" if parts else ""]
    return "; ".join(filter(None, said))


def counts(backend: BackendReport) -> dict[Label, int]:
    """Count each label of the legend among the backend's clauses; labels that don't occur are left out."""
    found = [label(clause) for clause in backend.clauses]
    return {each: found.count(each) for each in LEGEND if each in found}
