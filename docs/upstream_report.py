"""Judge the stores of ``@mcp-ts/sdk``, and write docs/upstream.md and docs/upstream.html: ``make upstream``.

Each store is judged by a separate pytest run. ``docs/upstream.yaml`` lists the defects that are known; the exit code
is 1 where a run does not find one of them again, so that a test which has become too weak is noticed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import yaml

from pytest_mcp_storage.bridge.mcp_ts.package import SDK, VERSIONS
from pytest_mcp_storage.bridge.names import MCP_TS_STORES
from pytest_mcp_storage.report.merge import merge
from pytest_mcp_storage.report.model import BackendReport, Report
from pytest_mcp_storage.report.write import write
from pytest_mcp_storage.spec.outcome import Outcome

HERE = Path(__file__).parent
LABELS = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
    Outcome.DEVIATION: "~",
    Outcome.NOT_APPLICABLE: "·",
    Outcome.NOT_MEASURED: "?",
}
SEED = 0
MOST_LINES = 14
WIDEST = 160
LIMIT = 3600
"""Seconds for one store."""
DEEP = "deep"
"""The tier of a second run, where a defect shows in large numbers only."""


@dataclass(frozen=True)
class Failure:
    """A test that failed, and what pytest shows for it: the message, what should be, and the shortest history."""

    clause: str
    test: str
    text: str
    deep: bool = False


@dataclass
class Judged:
    """One store's run."""

    store: str
    report: Report
    failures: list[Failure]

    @property
    def backend(self) -> BackendReport:
        return self.report.backends[0]


@dataclass
class Defect:
    """A known defect, and what finds it: see docs/upstream.yaml."""

    what: str
    stores: list[str]
    tests: dict[str, list[str]] = field(default_factory=dict)
    """By clause."""
    clauses: list[str] = field(default_factory=list)
    seen: str = ""
    deep: bool = False
    sound: bool = False
    unseen: str = ""

    def __post_init__(self) -> None:
        self.clauses = self.clauses or list(self.tests)

    def missed(self, judged: Judged) -> list[str]:
        """Return the clauses by which this store was not found out, or, where it is sound, wronged."""
        failed = {
            (each.clause, each.test) for each in judged.failures if re.search(self.seen, each.text.partition("\n")[0])
        }
        hit = {clause: any((clause, test) in failed for test in tests) for clause, tests in self.tests.items()}
        return [clause for clause, found in hit.items() if found == self.sound]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier", default="standard", choices=["smoke", "standard", "deep"])
    parser.add_argument("--runs", type=Path, default=HERE.parent / "build" / "upstream", help="for the runs' own files")
    parser.add_argument("--store", action="append", choices=[*MCP_TS_STORES, "none"], help="judge only this one anew")
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    defects = [Defect(**entry) for entry in yaml.safe_load((HERE / "upstream.yaml").read_text())]
    for store in MCP_TS_STORES:
        if given.store is None or store in given.store:
            judge(store, given.tier, given.runs.resolve())
            if large := [clause for each in defects if each.deep and store in each.stores for clause in each.clauses]:
                judge(store, DEEP, given.runs.resolve(), clauses=large)
    judged = [read(store, given.runs) for store in MCP_TS_STORES]
    merged, _ = merge([(one.store, one.report) for one in judged])
    write(merged, HERE / "upstream.html")
    (HERE / "upstream.md").write_text("\n".join(document(judged, defects)) + "\n")
    missed = [
        f"{one.store}: {defect.what} ({', '.join(clauses)})"
        for defect in defects
        for one in judged
        if one.store in defect.stores and (clauses := defect.missed(one))
    ]
    for line in missed:
        print(f"not as it is known: {line}", file=sys.stderr)
    return 1 if missed else 0


def judge(store: str, tier: str, runs: Path, clauses: Sequence[str] = ()) -> None:
    """Run the suite, or these clauses of it, over a store.

    That it fails is what is expected of it; that it has no verdict is not.
    """
    name = f"{store}-{DEEP}" if clauses else store
    print(f"judging mcp-ts:{store}{' by ' if clauses else ''}{', '.join(clauses)} …", file=sys.stderr)
    (runs / "pytest.ini").write_text("[pytest]\n")  # this project's own settings are for its own tests
    (runs / f"{name}.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    with (runs / f"{name}.txt").open("w") as output:
        subprocess.run(
            [
                *command,
                f"--mcp-backend=mcp-ts:{store}",
                f"--mcp-tier={tier}",
                f"--hypothesis-seed={SEED}",
                f"--mcp-report={name}.json",
                f"--junitxml={name}.xml",
                f"--rootdir={runs}",
                *([f"--mcp-clause={','.join(clauses)}"] if clauses else []),
            ],
            cwd=runs,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
    if not (runs / f"{name}.json").exists():
        raise SystemExit(f"the run over mcp-ts:{store} came to no verdict: see {runs / name}.txt")
    for made in (runs / f"{name}.json", runs / f"{name}.xml"):
        made.write_text(placeless(made.read_text()))


def placeless(text: str) -> str:
    """Return the text without the places of this machine, which say nothing to others."""
    for place, name in ((Path(sys.prefix), "…"), (HERE.parent, "…"), (Path.home(), "~")):
        text = text.replace(f"{place}/", f"{name}/")
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/[\w.-]+/|/dev/shm/[\w.-]+/", "…/", text)


def read(store: str, runs: Path) -> Judged:
    """Return what the runs over a store left behind. A clause that failed at the deep tier has failed."""
    judged = Judged(store, Report.load(runs / f"{store}.json"), failures_in(runs / f"{store}.xml"))
    if (further := runs / f"{store}-{DEEP}.json").exists():
        judged.failures += failures_in(further.with_suffix(".xml"), deep=True)
        failed = {each.id: each for each in Report.load(further).backends[0].clauses if each.outcome is Outcome.FAILED}
        judged.backend.clauses = [failed.get(each.id, each) for each in judged.backend.clauses]
    return judged


def failures_in(results: Path, *, deep: bool = False) -> list[Failure]:
    """Return the tests that failed, from pytest's JUnit XML."""
    failures = []
    for case in ElementTree.parse(results).iter("testcase"):  # noqa: S314 - our own run wrote it
        clause = next((each.get("value") for each in case.iter("property") if each.get("name") == "mcp_clause"), None)
        failed = case.find("failure")
        if clause is not None and failed is not None:
            name = str(case.get("name")).partition("[")[0]
            failures.append(Failure(clause, name, failed.text or "", deep))
    return failures


def document(judged: Sequence[Judged], defects: Sequence[Defect]) -> Iterator[str]:
    """Return the lines of docs/upstream.md."""
    report = judged[0].report
    packages = ", ".join(f"{name} {version}" for name, version in VERSIONS.items())
    yield f"# The stores of {SDK} {VERSIONS[SDK]}, judged"
    yield ""
    yield f"By {report.suite}, contract {report.revision}, tier {report.tier}, seed {report.seed}, on {packages}."
    yield ""
    yield "Written by `make upstream`, which judges them again: Node.js 20 with npm is needed, Redis or Valkey for one"
    yield "store and PostgreSQL for another ([supabase-stack.md](supabase-stack.md)); nothing of upstream is changed."
    yield "One store alone: `python docs/upstream_report.py --store redis`; one clause: the line `reproduce` below it."
    yield "[bridge-protocol.md](bridge-protocol.md#mcp-tssdk) says how the package is driven, and what the bridge adds."
    yield "All clauses side by side, with every history: [upstream.html](upstream.html)."
    yield ""
    yield from _verdicts(judged)
    yield from _known(judged, defects)
    yield from _matrix(judged)
    yield from _failures(judged)
    yield from MOVING


def _verdicts(judged: Sequence[Judged]) -> Iterator[str]:
    yield "## Verdicts"
    yield ""
    yield "| store | passed | failed MUST | failed SHOULD | not applicable | not measured | verdict |"
    yield "|---|---|---|---|---|---|---|"
    for one in judged:
        backend = one.backend
        failed, advised = backend.count(Outcome.FAILED, "MUST"), backend.count(Outcome.FAILED, "SHOULD")
        rest = [backend.count(outcome) for outcome in (Outcome.NOT_APPLICABLE, Outcome.NOT_MEASURED)]
        cells = [f"`mcp-ts:{one.store}`", backend.count(Outcome.PASSED), failed, advised, *rest]
        yield f"| {' | '.join(map(str, cells))} | {backend.verdict.replace('_', ' ')} |"
    yield ""


def _known(judged: Sequence[Judged], defects: Sequence[Defect]) -> Iterator[str]:
    yield "## Known defects, found again"
    yield ""
    yield "Found by hand before there was a suite ([upstream.yaml](upstream.yaml)), and found again by each of the"
    yield "clauses; what is in bold was not."
    yield ""
    yield "| defect | clauses | found in |"
    yield "|---|---|---|"
    for defect in defects:
        if defect.unseen:
            seen = f"not to be seen: {defect.unseen}"
        else:
            seen = ", ".join(_found(defect, one) for one in judged if one.store in defect.stores)
            seen += ", at the deep tier" if defect.deep else ""
        yield f"| {defect.what.replace('|', '/')} | {', '.join(defect.clauses)} | {seen} |"
    yield ""


def _found(defect: Defect, one: Judged) -> str:
    missed = defect.missed(one)
    if defect.sound:
        return f"**{one.store} failed**" if missed else f"{one.store} passed"
    return f"**not in {one.store} ({', '.join(missed)})**" if missed else one.store


def _matrix(judged: Sequence[Judged]) -> Iterator[str]:
    yield "## Clauses"
    yield ""
    yield "✓ passed · ✗ failed · `·` not applicable · `?` not measured. SHOULD clauses are in italics. A clause may"
    yield "fail by another's defect: where a store alters a field (RT-2, RT-7) or shows expired sessions (EX-2), most"
    yield "that look at whole sessions or at time fail with it. What each saw is listed below."
    yield ""
    yield f"| clause | {' | '.join(one.store for one in judged)} |"
    yield f"|---|{':-:|' * len(judged)}"
    rows = zip(*(one.backend.clauses for one in judged), strict=True)
    for row in rows:
        name = row[0].id if row[0].level == "MUST" else f"*{row[0].id}*"
        yield f"| {name} {row[0].statement} | {' | '.join(LABELS[clause.outcome] for clause in row)} |"
    yield ""


def _failures(judged: Sequence[Judged]) -> Iterator[str]:
    yield "## What was seen"
    yield ""
    yield "Each test that failed, and for each clause the shortest history that Hypothesis came to."
    for one in judged:
        yield ""
        yield f"### mcp-ts:{one.store}"
        yield ""
        told: set[str] = set()
        for failure in one.failures:
            title, _, rest = failure.text.partition("\n")
            title = f"{title} (deep tier)" if failure.deep else title
            if failure.clause in told:
                yield f"- {_html(_cut(title))}"
                yield ""
                continue
            told.add(failure.clause)
            yield f"<details><summary>{_html(_cut(title))}</summary>"
            yield ""
            yield f"`{failure.test}`"
            yield ""
            yield "```text"
            yield from _essence(rest.splitlines())
            yield "```"
            yield ""
            yield "</details>"
            yield ""
        reasons = one.backend.reasons(Outcome.NOT_MEASURED)
        for reason, clauses in reasons.items():
            yield f"Not measured: {', '.join(clauses)}: {reason}"
            yield ""


def _essence(lines: Sequence[str]) -> Iterator[str]:
    """Return the lines but for those that say the same for every store, and those that a reader would skip."""
    parts: dict[str, list[str]] = {}
    part = ""
    for line in lines:
        if line[:2] == "  " and line[2:3] != " ":
            part = line.strip().partition(":")[0]
        parts.setdefault(part, []).append(_cut(line.rstrip()))
    history = parts.get("history", [])
    yield from parts.get("should", [])
    yield from history if len(history) <= MOST_LINES else [*history[:3], "    …", *history[3 - MOST_LINES :]]
    yield from parts.get("reproduce", [])


def _cut(line: str) -> str:
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


MOVING = """\
## Moving from upstream

- **File and SQLite**: point `FileStorageBackend` or `SqliteStorageBackend` at upstream's file. Both sides read what the
  other wrote. Sessions without an expiry get one, of the default TTL, when the store is opened. With a key, what is
  written from then on is encrypted, which upstream can't read.
- **Supabase**: use the same table, and the same key of 64 hexadecimal digits. Both sides read what the other wrote, in
  clear and encrypted. `mcp-storage supabase-init` brings upstream's table up to the one used here, and keeps its rows.
- **Redis**: the contract forbids upstream's layout (ID-3, RT-4), so its sessions are carried over once:

  ```shell
  mcp-storage migrate --from redis://127.0.0.1:6379/0 --to redis --dry-run
  mcp-storage migrate --from redis://127.0.0.1:6379/0 --to redis --move
  ```

  Each session is created in the target with the time that it has left, and read back before `--move` removes it from
  upstream's keys. The target may be any store that the environment reaches (`--to file`, `sqlite`, `supabase`), with
  `STORAGE_ENCRYPTION_KEY` set it arrives encrypted. Stop what writes to the source first. What is no session, and what
  differs from a session that the target has already, is not moved and is reported; the exit code is then 1. Running it
  again is harmless. What upstream's Lua had altered before (`[]` to `{}`) can't be distinguished from what was meant,
  and is copied as it is.""".splitlines()


if __name__ == "__main__":
    sys.exit(main())
