"""Measure how often the diagnosis of a failing store is right: each mutant of the zoo is left out in turn.

``python benchmarks/diagnosis.py`` prints precision, coverage, and accuracy by class of cause, as
docs/explaining-failures.md has them. ``--kin`` leaves out the whole family of each mutant too: those that share a base
class of the zoo, or half of the words of its reason. ``--calibrate`` writes the threshold into the table anew,
``--take FILE`` takes the signatures of another table first.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from pytest_mcp_storage.report.similarity import Trial, calibrated, trials
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.registry import all_mutants
from pytest_mcp_storage.zoo.signatures import FILE, PRECISION, read_table, write_table

PLAIN = {"a", "an", "and", "the", "it", "its", "is", "of", "to", "that", "in", "with", "for", "as", "are", "not", "by"}


def main() -> int:
    """Print the figures; 1 if a bar of the issue does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kin", action="store_true", help="leave out the family of each mutant too")
    parser.add_argument("--calibrate", action="store_true", help="write the threshold into the table anew")
    parser.add_argument("--docs", action="store_true", help="write the figures into docs/explaining-failures.md")
    parser.add_argument("--take", type=Path, metavar="FILE", help="take the signatures of this table")
    given = parser.parse_args()
    mutants = read_table(given.take or FILE)["mutants"]
    figures = calibrated(mutants, PRECISION)
    if given.calibrate or given.take:
        write_table(mutants, FILE)
    alone = printed(list(trials(mutants)), figures["threshold"])
    text = [f"{len(mutants)} of {len(all_mutants())} mutants, each left out in turn: {alone}.", ""]
    if given.kin:
        kin = families()
        apart = printed(list(trials(mutants, lambda name: kin.get(name, ()))), figures["threshold"])
        text = [
            text[0],
            f"With all that share a base class or half of the words of their reason left out too: {apart}.",
            "",
        ]
    text += by_class(list(trials(mutants)))
    print("\n".join(text))
    if given.docs:
        into_page("diagnosis", text)
    return 0 if figures["coverage"] >= 0.6 else 1


def printed(results: list[Trial], threshold: float) -> str:
    """Return in words how many mutants get a diagnosis, and how many of these are right."""
    sure = [each for each in results if each.confidence >= threshold]
    right = sum(each.right for each in sure)
    return (f"{len(sure)} ({len(sure) / len(results):.0%}) get a diagnosis, "
            f"of which {right} ({right / max(1, len(sure)):.0%}) are right")  # fmt: skip


def into_page(name: str, lines: list[str]) -> None:
    """Put lines between the marks of that name in the page of the documentation."""
    page = Path(__file__).parents[1] / "docs/explaining-failures.md"
    before, mark, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    page.write_text("".join([before, mark, *(f"{line}\n" for line in lines), end, after]), encoding="utf-8")


def by_class(results: list[Trial]) -> list[str]:
    """Return a Markdown table: the classes, how many mutants each has, and how often they are found."""
    grouped: defaultdict[str, list[Trial]] = defaultdict(list)
    for each in results:
        grouped[each.cause].append(each)
    lines = ["| class of the cause | mutants | top 1 | top 3 |", "| :-- | --: | --: | --: |"]
    for cause, found in sorted(grouped.items(), key=lambda item: -len(item[1])):
        first, three = (sum(getattr(each, name) for each in found) / len(found) for name in ("right", "among_three"))
        lines.append(f"| {cause} | {len(found)} | {first:.0%} | {three:.0%} |")
    return lines


def families() -> dict[str, Collection[str]]:
    """Return the kin of each mutant by its name."""
    everyone = all_mutants()
    return {one.name: {other.name for other in everyone if _akin(one, other)} for one in everyone}


def _akin(one: Mutant, other: Mutant) -> bool:
    mine, theirs = _words(one), _words(other)
    return bool(_bases(one) & _bases(other)) or len(mine & theirs) >= 0.5 * min(len(mine), len(theirs))


def _bases(mutant: Mutant) -> set[type]:
    kinds = (mutant.harness, getattr(mutant.harness, "backend", None))
    bases = {base for kind in kinds if isinstance(kind, type) for base in kind.__mro__}
    return {base for base in bases if ".mutants." in base.__module__}


def _words(mutant: Mutant) -> set[str]:
    return {word.strip(".,:;`'()").lower() for word in mutant.why.split()} - PLAIN


if __name__ == "__main__":
    raise SystemExit(main())
