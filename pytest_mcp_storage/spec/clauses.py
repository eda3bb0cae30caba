"""The contract as data: loaded from ``spec/<revision>.yaml``, and validated when it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.outcome import LEFT_OUT

LATEST = "2026-11"
"""The revision that a run is judged by unless ``--mcp-revision`` says otherwise."""

_ID = re.compile(r"[A-Z]{2}-[1-9][0-9]*")


class ContractError(ValueError):
    """The contract can't be read, or lacks the clause or revision that was asked for."""


class Level(Enum):
    """How binding a clause is (RFC 2119). A failed SHOULD fails a run only under ``--mcp-strict``."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True)
class Clause:
    """One sentence that holds for a conformant store.

    ``needs``: without them the clause is not applicable. ``optional_parts``: what of the clause is left out without a
    further capability. ``store_wide``: measuring it touches sessions that the suite did not write.
    """

    id: str
    level: Level
    statement: str
    why: str
    needs: frozenset[Capability]
    tests: tuple[str, ...]
    group: str
    group_title: str
    optional_parts: tuple[tuple[Capability, str], ...] = ()
    store_wide: bool = False

    def left_out(self, capabilities: frozenset[Capability]) -> tuple[str, ...]:
        """Return the optional parts that a store with these capabilities is not judged by."""
        return tuple(
            f"{LEFT_OUT}{what} (needs {capability.name})"
            for capability, what in self.optional_parts
            if capability not in capabilities
        )


@cache
def load_clauses(revision: str | None = None) -> tuple[Clause, ...]:
    """Return the clauses of a revision, in the contract's order. Raises :class:`ContractError`."""
    revision = revision or LATEST
    known = revisions()
    if revision not in known:
        raise ContractError(f"there is no revision {revision!r} of the contract (known: {', '.join(known)})")
    document = yaml.safe_load(files(__package__).joinpath(f"{revision}.yaml").read_text(encoding="utf-8"))
    if document["revision"] != revision:
        raise ContractError(f"spec/{revision}.yaml calls itself revision {document['revision']!r}")
    clauses = tuple(_clause(group, row) for group in document["groups"] for row in group["clauses"])
    _check(clauses)
    return clauses


def revisions() -> tuple[str, ...]:
    """Return the revisions that this version of the suite knows, oldest first."""
    names = (path.name for path in files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def select(clauses: tuple[Clause, ...], names: list[str]) -> tuple[Clause, ...]:
    """Return the clauses that a list of ids (``EX-2``) and groups (``EX``) names; all of them for an empty list.

    Raises :class:`ContractError` for a name that is neither.
    """
    if not names:
        return clauses
    groups = list(dict.fromkeys(clause.group for clause in clauses))
    known = [*groups, *(clause.id for clause in clauses)]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=5, cutoff=0.5)
            hint = f"; is one of these meant: {', '.join(near)}?" if near else f"; the groups are {', '.join(groups)}"
            raise ContractError(f"there is no clause or group {name!r}{hint} (see: mcp-storage clauses)")
    return tuple(clause for clause in clauses if clause.id in names or clause.group in names)


def _clause(group: Mapping[str, Any], row: Mapping[str, Any]) -> Clause:
    allowed = {"id", "level", "statement", "why", "needs", "optional_parts", "store_wide", "tests"}
    if unknown := set(row) - allowed:
        raise ContractError(f"{row.get('id')}: unknown keys {sorted(unknown)}")
    try:
        return Clause(
            id=row["id"],
            level=Level(row["level"]),
            statement=" ".join(row["statement"].split()),
            why=" ".join(row["why"].split()),
            needs=frozenset(Capability[name] for name in row.get("needs", ())),
            tests=tuple(row["tests"]),
            group=group["id"],
            group_title=group["title"],
            optional_parts=tuple((Capability[name], what) for name, what in row.get("optional_parts", {}).items()),
            store_wide=row.get("store_wide", False),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ContractError(f"{row.get('id', 'a clause without id')}: {error!r}") from error


def _check(clauses: tuple[Clause, ...]) -> None:
    for what, counts in (
        ("clause id", Counter(clause.id for clause in clauses)),
        ("test", Counter(test for clause in clauses for test in clause.tests)),
    ):
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ContractError(f"{what} is listed twice: {', '.join(twice)}")
    for clause in clauses:
        if not _ID.fullmatch(clause.id) or not clause.id.startswith(f"{clause.group}-"):
            raise ContractError(f"{clause.id} is not an id of group {clause.group}")
        if not (clause.statement and clause.why and clause.tests):
            raise ContractError(f"{clause.id} lacks its statement, its reason or its tests")
