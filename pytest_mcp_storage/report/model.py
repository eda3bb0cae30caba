"""The report: plain data, made once, read by every renderer, and merged across runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_mcp_storage.spec.clause_ids import compact
from pytest_mcp_storage.spec.outcome import LEFT_OUT, Outcome

CONFORMANT = "conformant"
WITH_DEVIATIONS = "conformant_with_deviations"
NOT_CONFORMANT = "not_conformant"
NOT_MEASURED = "not_measured"
WORST_FIRST = (NOT_CONFORMANT, NOT_MEASURED, WITH_DEVIATIONS, CONFORMANT)

SCHEMA = 1
"""The version of the JSON report; a key that is removed or means something else raises it."""

MUST, SHOULD = "MUST", "SHOULD"


class ReportError(ValueError):
    """A file is not a report of this suite, or reports can't be merged."""


@dataclass
class ClauseReport:
    """The result of one clause on one backend.

    ``seconds``: how long its tests took together. ``fault``: a traceback if the harness failed, not the backend.
    """

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
    fault: str = ""
    deviation: str = ""
    reproduce: str = ""
    test: str = ""
    """The test of the clause that the message is from."""
    kind: str = ""
    """How the clause failed, without names and numbers: failures of one cause have it in common."""
    scenario: dict[str, Any] = field(default_factory=dict)
    """The smallest sequence of calls that shows the failure, as data; empty if no replay has confirmed one."""
    reproducer: str = ""
    """The file that ``--mcp-repro`` has written."""
    stand_alone: str = ""
    """The text of that file: a test that needs the store and pytest, and no test of the suite."""

    @property
    def advice(self) -> bool:
        """Say whether a SHOULD failed: it is reported, and fails the run only under ``--mcp-strict``."""
        return self.outcome is Outcome.FAILED and self.level == SHOULD


def verdict_of(clauses: Sequence[ClauseReport], *, strict: bool) -> str:
    """Return the verdict that a backend's clauses give. ``strict``: a failed SHOULD counts too."""
    must = [each for each in clauses if each.level == MUST]
    if any(each.outcome is Outcome.FAILED for each in (clauses if strict else must)):
        return NOT_CONFORMANT
    if any(each.outcome is Outcome.NOT_MEASURED for each in must):
        return NOT_MEASURED
    return WITH_DEVIATIONS if any(each.outcome is Outcome.DEVIATION for each in clauses) else CONFORMANT


@dataclass
class Missed:
    """A branch of the store's code that no test took: the lines that did not run, and the condition before them."""

    file: str
    first: int
    last: int
    source: str

    @property
    def words(self) -> str:
        """Return it for people: ``mypackage/store.py:88-93 (if len(page) == 1000)``."""
        lines = f"{self.first}-{self.last}" if self.last > self.first else f"{self.first}"
        return f"{self.file}:{lines} ({self.source})"


@dataclass
class Exercised:
    """How much of the store's own code the suite has run: its branches, and those that no test took.

    ``branches`` is 0 if nothing was followed; ``reason`` says why.
    """

    branches: int = 0
    seen: int = 0
    missed: list[Missed] = field(default_factory=list)
    reason: str = ""

    @property
    def words(self) -> str:
        """Return it for the verdict line: ``saw 94 % of 212 branches``; empty if nothing was followed."""
        if not self.branches:
            return ""
        return f"saw {100 * self.seen // self.branches} % of {self.branches} branches"


@dataclass
class Cause:
    """What several failed clauses have in common.

    ``first``: the clause to fix first. ``like``: the mutant of the zoo that fails in the same way; empty if none is
    near enough. ``why``: the mistake in that mutant. ``calls``: the length of the shortest confirmed history.
    """

    words: str
    clauses: list[str]
    first: str
    like: str = ""
    confidence: float = 0.0
    calls: int = 0
    why: str = ""

    @property
    def line(self) -> str:
        """Return it in one line: ``reads do not check expiry (like ServesUntilCleanup) · fix EX-2 first``."""
        parts = [f"{self.words} (like {self.like})" if self.like else self.words, f"fix {self.first} first"]
        return " · ".join([*parts, *([f"{self.calls}-call history"] if self.calls else [])])


@dataclass
class BackendReport:
    """A backend, its verdict, and every clause of the revision.

    In a merged report, ``suite``, ``tier``, ``seed`` and ``when`` are set here, for this backend's own run.
    """

    name: str
    harness: str
    version: str
    capabilities: list[str]
    verdict: str
    clauses: list[ClauseReport]
    undeclared: list[str] = field(default_factory=list)
    """Capabilities that seem to work and are not declared."""
    exercised: Exercised = field(default_factory=Exercised)
    not_judged: list[str] = field(default_factory=list)
    """What the clauses did not judge, because the harness does not declare what it needs."""
    causes: list[Cause] = field(default_factory=list)
    """What the failed clauses have in common, the cause of most clauses first."""
    title: str = ""
    """The harness's own name, which badges and pages show instead of the one on the command line."""
    suite: str = ""
    tier: str = ""
    seed: int | None = None
    when: str = ""

    @property
    def shown(self) -> str:
        """Return the name for people."""
        return self.title or self.name

    def in_part(self) -> dict[str, list[str]]:
        """Return what was left out of clauses that passed: the ids by what was left out."""
        found: dict[str, list[str]] = {}
        for clause in self.clauses:
            for note in clause.notes if clause.outcome is Outcome.PASSED else ():
                if note.startswith(LEFT_OUT):
                    found.setdefault(note.removeprefix(LEFT_OUT), []).append(clause.id)
        return found

    def count(self, outcome: Outcome, level: str = "") -> int:
        """Count the clauses with this outcome."""
        return sum(1 for each in self.clauses if each.outcome is outcome and level in ("", each.level))

    def reasons(self, outcome: Outcome) -> dict[str, list[str]]:
        """Return why clauses have this outcome: the ids by message, each message once."""
        found: dict[str, list[str]] = {}
        for clause in self.clauses:
            if clause.outcome is outcome:
                found.setdefault(clause.message, []).append(clause.id)
        return found

    def folded(self, ids: Sequence[str]) -> str:
        """Return the ids as a list, a whole group by its name: ``RT, LC-2 to LC-13``."""
        groups: dict[str, list[str]] = {}
        for clause in self.clauses:
            groups.setdefault(clause.group, []).append(clause.id)
        named = []
        for group, all_of_it in groups.items():
            there = [id for id in all_of_it if id in ids]
            if there:
                named.append(group if len(there) == len(all_of_it) > 1 else compact(there))
        return ", ".join(named)


@dataclass
class Report:
    """One run, or several merged. ``groups``: title by group id. ``when``: its end, UTC, ISO 8601.

    ``problems``: why the run fails although no clause did.
    """

    suite: str
    revision: str
    tier: str
    seed: int
    backends: list[BackendReport]
    groups: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    when: str = ""
    schema: int = SCHEMA
    """The version of the report's form: see ``report_schema``."""

    def __post_init__(self) -> None:
        """Derive the groups from the ids if a report of another program leaves them out."""
        for backend in self.backends:
            for clause in backend.clauses:
                clause.group = clause.group or clause.id.partition("-")[0]
                self.groups.setdefault(clause.group, "")

    def about(self, backend: BackendReport) -> str:
        """Return how one backend was judged: ``tier standard · seed 7``."""
        seed = self.seed if backend.seed is None else backend.seed
        return f"tier {backend.tier or self.tier} · seed {seed}"

    def to_json(self) -> dict[str, Any]:
        """Return the data that ``--mcp-report FILE.json`` writes."""
        data = asdict(self)
        for clause in _clauses(data):
            clause["outcome"] = clause["outcome"].value
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Read a report; unknown keys are ignored. Raise :class:`ReportError`."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_python(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise ReportError(f"not a report of this suite: {place}: {first['msg'].lower()}") from None

    def check_verdicts(self) -> None:
        """Raise :class:`ReportError` for a verdict better than its clauses; an unknown verdict is allowed."""
        for backend in self.backends:
            borne_out = verdict_of(backend.clauses, strict=False)
            if backend.verdict in WORST_FIRST[WORST_FIRST.index(borne_out) + 1 :]:
                raise ReportError(f"{backend.name!r} is called {backend.verdict}, and its clauses say {borne_out}")

    @classmethod
    def load(cls, path: Path) -> Report:
        """Return the report in a JSON file. Raise :class:`ReportError`, which names the file."""
        try:
            report = cls.from_json(json.loads(path.read_text(encoding="utf-8")))
            report.check_verdicts()
        except OSError as error:
            raise ReportError(f"{path}: {error.strerror}") from None
        except ReportError as error:
            raise ReportError(f"{path}: {error}") from None
        except (ValueError, RecursionError) as error:
            raise ReportError(f"{path}: not a JSON report of this suite: {error}") from None
        return report


def _clauses(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for backend in data["backends"]:
        yield from backend["clauses"]
