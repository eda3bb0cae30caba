"""Compare the failures of a store with the kill signatures of the zoo's mutants."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_mcp_storage.report.cause_classes import classes_of

NEIGHBOURS = 7
SHARPNESS = 3
"""The power of a similarity that is its vote: the nearest mutants decide."""
OWN_VOTE = 0.5
"""The vote of a class to which all failed clauses belong."""
READS = ("get_session", "get_identity_sessions_data", "get_identity_mcp_sessions", "get_all_session_ids")

Mutants = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Diagnosis:
    """The class of the cause, the most similar mutant of it, and how sure the class is.

    ``ranking``: the classes, the most probable first.
    """

    mutant: str
    cause: str
    confidence: float
    ranking: tuple[str, ...]


class Table:
    """The features of the mutants, as far as their clauses were measured on the store in question."""

    def __init__(self, mutants: Mutants, measured: Collection[str] | None = None) -> None:
        self.classes = {name: classes_of(each["clauses"]) for name, each in mutants.items()}
        self._known = {
            name: features({id: kind for id, kind in each["failed"].items() if measured is None or id in measured})
            for name, each in mutants.items()
        }
        counts = Counter(feature for each in self._known.values() for feature in each)
        total = len(self._known) + 1
        self._weights: defaultdict[str, float] = defaultdict(lambda: math.log(total))
        self._weights.update({feature: math.log(total / count) for feature, count in counts.items()})

    def nearest(self, failed: Mapping[str, str], without: Collection[str] = ()) -> Diagnosis | None:
        """Return the most probable class. Its confidence is the best evidence times its share of the votes.

        The mutants that are most similar vote, and so do the classes of the failed clauses themselves.
        """
        mine = features(failed)
        scores = sorted(
            ((_similar(mine, each, self._weights), name) for name, each in self._known.items() if name not in without),
            reverse=True,
        )
        best = [(score, name) for score, name in scores[:NEIGHBOURS] if score > 0]
        if not best:
            return None
        votes: defaultdict[str, float] = defaultdict(float)
        for score, name in best:
            for cause in self.classes[name]:
                votes[cause] += score**SHARPNESS / len(self.classes[name])
        shares = _shares(failed)
        for cause, share in shares.items():
            votes[cause] += OWN_VOTE * share**2
        ranking = tuple(sorted(votes, key=lambda cause: -votes[cause]))
        cause = ranking[0]
        top, mutant = next(((score, name) for score, name in scores if cause in self.classes[name]), (0.0, ""))
        if not mutant:
            return None
        evidence = max(math.sqrt(top), shares.get(cause, 0.0) ** 2)
        return Diagnosis(mutant, cause, evidence * votes[cause] / sum(votes.values()), ranking)


def _shares(failed: Collection[str]) -> dict[str, float]:
    """Return which share of the failed clauses each class has: a defect that breaks one class is of that class."""
    counts = Counter(cause for id in failed for cause in classes_of([id]))
    return {cause: count / len(failed) for cause, count in counts.items()}


def diagnose(failed: Mapping[str, str], measured: Collection[str], table: Mapping[str, Any]) -> Diagnosis | None:
    """Return what the failures are like; ``None`` below the confidence that the table asks for."""
    threshold = table.get("threshold")
    if threshold is None:
        return None
    found = Table(table["mutants"], measured).nearest(failed)
    return found if found is not None and found.confidence >= threshold else None


def features(failed: Mapping[str, str]) -> set[str]:
    """Return what is compared: the failed clauses, how each failed, and the faults apart from their clauses."""
    kinds = {id: _general(kind) for id, kind in failed.items()}
    coarse = {id: _coarse(kind) for id, kind in kinds.items()}
    return {
        *kinds,
        *(f"{id} {kind}" for id, kind in kinds.items()),
        *(f"* {kind}" for kind in kinds.values()),
        *(f"{id} {kind}" for id, kind in coarse.items()),
        *(f"* {kind}" for kind in coarse.values()),
    }


def _general(kind: str) -> str:
    method, _, rest = kind.partition(" ")
    return f"read {rest}" if method in READS else kind


def _coarse(kind: str) -> str:
    """Return the first two words: ``read changed`` for each field."""
    return " ".join(kind.split()[:2])


def _similar(one: set[str], other: set[str], weights: Mapping[str, float]) -> float:
    """Return the weighted Jaccard similarity: rare features count more."""
    both = sum(weights[each] for each in one & other)
    either = sum(weights[each] for each in one | other)
    return both / either if either else 0.0


@dataclass(frozen=True)
class Trial:
    """The diagnosis of a mutant that was left out, and whether its class, or one of the first three, is right."""

    mutant: str
    cause: str
    confidence: float
    right: bool
    among_three: bool


def trials(mutants: Mutants, kin: Callable[[str], Collection[str]] = lambda name: (name,)) -> Iterator[Trial]:
    """Leave out each mutant in turn, with its ``kin``, and yield what the others say about it."""
    table = Table(mutants)
    for name, each in mutants.items():
        found = table.nearest(each["failed"], {name, *kin(name)})
        known = table.classes[name]
        if found is None:
            yield Trial(name, known[0], 0.0, right=False, among_three=False)
        else:
            among = any(cause in known for cause in found.ranking[:3])
            yield Trial(name, known[0], found.confidence, right=found.cause in known, among_three=among)


def calibrated(mutants: Mutants, precision: float) -> dict[str, float]:
    """Return the lowest threshold with this precision when each mutant is left out in turn, and what it costs.

    ``top1`` and ``top3``: the share of all mutants whose class is the first, or among the first three.
    """
    results = sorted(trials(mutants), key=lambda each: -each.confidence)
    best = {"threshold": 1.01, "precision": 1.0, "coverage": 0.0}
    sure = 0
    for count, trial in enumerate(results, 1):
        sure += trial.right
        ends = count == len(results) or results[count].confidence < trial.confidence
        if ends and sure / count >= precision:
            # Rounded down, so that the mutant at the threshold stays above it.
            threshold = math.floor(trial.confidence * 10_000) / 10_000
            best = {"threshold": threshold, "precision": sure / count, "coverage": count / len(results)}
    total = max(len(results), 1)
    best["top1"] = sum(each.right for each in results) / total
    best["top3"] = sum(each.among_three for each in results) / total
    return {key: round(value, 4) for key, value in best.items()}
