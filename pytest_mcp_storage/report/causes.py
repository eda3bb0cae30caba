"""Group the failures of a backend by cause, and compare them with the zoo's mutants, whose causes are known.

Failures with the same confirmed fault ("expired sessions are still live") have one cause. If all failures together are
like those of a mutant, the mutant's cause explains those that it shows too. A mutant is named only above the confidence
that was right often enough in the leave-one-out test over the zoo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_mcp_storage.report.cause_classes import words_of
from pytest_mcp_storage.report.model import BackendReport, Cause, ClauseReport
from pytest_mcp_storage.report.signature_table import signatures
from pytest_mcp_storage.report.similarity import Diagnosis, diagnose
from pytest_mcp_storage.spec.clause_ids import natural
from pytest_mcp_storage.spec.outcome import Outcome

FAULTS = {
    "expired": "expired sessions still count as live",
    "removed": "removed sessions still count as live",
    "cleared": "clear_all leaves sessions",
    "missing": "live sessions are not found",
    "repeated": "a session is listed more than once",
    "unknown": "a session is found under a name that nobody gave it",
    "no InvalidSessionError": "invalid values are accepted",
    "no SessionExistsError": "a live session can be created again",
}
"""The last words of a confirmed fault, and the cause in plain words."""
UNKNOWN = "no known pattern"


def add_causes(backend: BackendReport) -> None:
    """Give the backend its causes, in the order of their number of clauses."""
    failed = [each for each in backend.clauses if each.outcome is Outcome.FAILED]
    measured = {each.id for each in backend.clauses if each.outcome in (Outcome.FAILED, Outcome.PASSED)}
    backend.causes = causes_of(failed, measured) if failed else []


def causes_of(failed: list[ClauseReport], measured: Iterable[str]) -> list[Cause]:
    """Return the causes of some failed clauses. ``measured``: all clauses that passed or failed."""
    table = signatures()
    found = diagnose({each.id: each.kind for each in failed}, set(measured), table)
    causes: list[Cause] = []
    rest = failed
    if found is not None:
        explained = _explained(failed, table["mutants"][found.mutant]["failed"])
        if len(explained) > 1 or explained == failed:
            causes.append(_known(found, explained, table["mutants"][found.mutant]))
            rest = [each for each in failed if each not in explained]
    groups: dict[str, list[ClauseReport]] = {}
    for each in rest:
        groups.setdefault(fault(each) or each.kind, []).append(each)
    causes += [_unknown(name, group) for name, group in groups.items()]
    return sorted(causes, key=lambda cause: -len(cause.clauses))


def _explained(failed: list[ClauseReport], known: Mapping[str, str]) -> list[ClauseReport]:
    """Return the clauses that fail a mutant too, and those with a fault of these: slow clauses are not in the table."""
    faults = {fault(each) for each in failed if each.id in known} - {""}
    return [each for each in failed if each.id in known or fault(each) in faults]


def fault(clause: ClauseReport) -> str:
    """Return what a confirmed fault has in common with those of other methods; empty if none was confirmed."""
    words = str(clause.scenario["finding"]["kind"]) if clause.scenario else ""
    last = words.rpartition(" ")[2]
    return last if last in FAULTS else words


def _known(found: Diagnosis, clauses: list[ClauseReport], mutant: Mapping[str, Any]) -> Cause:
    """Return a cause of a known class: the class is what was measured to be right."""
    ids = [each.id for each in clauses]
    first = next((id for id in mutant["clauses"] if id in ids), _simplest(clauses).id)
    sure = round(found.confidence, 2)
    return Cause(
        words_of(found.cause), ids, first, like=found.mutant, why=mutant["why"], confidence=sure, calls=_calls(clauses)
    )


def _unknown(name: str, clauses: list[ClauseReport]) -> Cause:
    confirmed = bool(clauses[0].scenario)
    words = FAULTS.get(name, name) if confirmed else UNKNOWN
    return Cause(words, [each.id for each in clauses], _simplest(clauses).id, calls=_calls(clauses))


def _simplest(clauses: list[ClauseReport]) -> ClauseReport:
    """Return a clause with the shortest confirmed history: of the group with most clauses, and the first in that."""
    groups = Counter(each.group for each in clauses)
    return min(clauses, key=lambda each: (not each.scenario, -groups[each.group], len(each.history), natural(each.id)))


def _calls(clauses: list[ClauseReport]) -> int:
    return min((len(each.history) for each in clauses if each.scenario), default=0)
