"""Compare the failures of a store with the kill signatures of the zoo's mutants."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

NEIGHBOURS = 5
READS = ("get_session", "get_identity_sessions_data", "get_identity_mcp_sessions", "get_all_session_ids")


@dataclass(frozen=True)
class Diagnosis:
    """The most similar mutant, the class of its cause (the clause that must kill it), and how sure that class is.

    ``ranking``: the classes, the most probable first.
    """

    mutant: str
    cause: str
    confidence: float
    ranking: tuple[str, ...]


def diagnose(failed: Mapping[str, str], measured: Collection[str], table: Mapping[str, Any]) -> Diagnosis | None:
    """Return what the failures are like; ``None`` below the confidence that the table asks for."""
    threshold = table.get("threshold")
    if threshold is None:
        return None
    found = nearest(failed, measured, table["mutants"])
    return found if found is not None and found.confidence >= threshold else None


def nearest(failed: Mapping[str, str], measured: Collection[str], mutants: Mapping[str, Any]) -> Diagnosis | None:
    """Return the most similar mutant. The confidence is its similarity times the share of its class."""
    known = {
        name: features({id: kind for id, kind in each["failed"].items() if id in measured})
        for name, each in mutants.items()
    }
    counts = Counter(feature for each in known.values() for feature in each)
    weights: defaultdict[str, float] = defaultdict(lambda: math.log(len(known) + 1))
    weights.update({feature: math.log((len(known) + 1) / count) for feature, count in counts.items()})
    mine = features(failed)
    scores = sorted(((_similar(mine, each, weights), name) for name, each in known.items()), reverse=True)
    best = [(score, name) for score, name in scores[:NEIGHBOURS] if score > 0]
    if not best:
        return None
    votes: dict[str, float] = {}
    for score, name in best:
        cause = mutants[name]["clauses"][0]
        votes[cause] = votes.get(cause, 0) + score**2
    ranking = tuple(sorted(votes, key=lambda cause: -votes[cause]))
    top = next((score, name) for score, name in best if mutants[name]["clauses"][0] == ranking[0])
    return Diagnosis(top[1], ranking[0], top[0] * votes[ranking[0]] / sum(votes.values()), ranking)


def features(failed: Mapping[str, str]) -> set[str]:
    """Return what is compared: the failed clauses, how each failed, and the faults apart from their clauses."""
    kinds = {id: _general(kind) for id, kind in failed.items()}
    return {*kinds, *(f"{id} {kind}" for id, kind in kinds.items()), *(f"* {kind}" for kind in kinds.values())}


def _general(kind: str) -> str:
    method, _, rest = kind.partition(" ")
    return f"read {rest}" if method in READS else kind


def _similar(one: set[str], other: set[str], weights: Mapping[str, float]) -> float:
    """Return the weighted Jaccard similarity: rare features count more."""
    both = sum(weights[each] for each in one & other)
    either = sum(weights[each] for each in one | other)
    return both / either if either else 0.0


def calibrated(mutants: Mapping[str, Any], precision: float) -> dict[str, float]:
    """Return the threshold that gives this precision when each mutant is left out in turn, and what it costs.

    ``top1`` and ``top3``: the share of all mutants whose class is the first, or among the first three.
    """
    results = []
    top1 = top3 = 0
    for name, each in mutants.items():
        others = {key: value for key, value in mutants.items() if key != name}
        found = nearest(each["failed"], {id for one in mutants.values() for id in one["failed"]}, others)
        right = found is not None and found.cause in each["clauses"]
        top1 += right
        top3 += found is not None and any(cause in each["clauses"] for cause in found.ranking[:3])
        results.append((found.confidence if found else 0.0, right))
    results.sort(reverse=True)
    best = {"threshold": 1.01, "precision": 1.0, "coverage": 0.0}
    sure = 0
    for count, (confidence, correct) in enumerate(results, 1):
        sure += correct
        if sure / count >= precision and (count == len(results) or results[count][0] < confidence):
            best = {"threshold": confidence, "precision": sure / count, "coverage": count / len(results)}
    total = max(len(mutants), 1)
    return {**{key: round(value, 4) for key, value in best.items()}, "top1": top1 / total, "top3": top3 / total}
