"""Judge the stores of ``@mcp-ts/sdk``, and write docs/upstream.json.gz, .md and the picture: ``make upstream``.

Each store is judged by a separate pytest run. ``docs/upstream.yaml`` lists the defects that are known; the exit code
is 1 if a run does not find one of them again, so that a test which has become too weak is noticed. ``--write`` judges
nothing and writes the page and the picture from the data. The site's full page is made from the same data.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml
from upstream_picture import bars

from pytest_mcp_storage.bridge.backend_names import MCP_TS_STORES
from pytest_mcp_storage.bridge.mcp_ts.package import SDK, VERSIONS
from pytest_mcp_storage.report.merge import merge
from pytest_mcp_storage.report.model import BackendReport, Report
from pytest_mcp_storage.spec.outcome import Outcome

HERE = Path(__file__).parent
DATA = HERE / "upstream.json.gz"
SUMMARY = HERE / "upstream.md"
PICTURE = HERE / "pictures" / "upstream.svg"
FULL_PAGE = "upstream-report.html"
"""The site's page with all clauses and histories, which docs/site_pages.py makes."""
SEED = 0
LIMIT = 3600
"""Seconds for one store."""
Missed = dict[str, dict[str, list[str]]]
"""The clauses that did not find a known defect, by defect and store."""
DEEP = "deep"
"""The tier of a second run, for a defect that shows in large numbers only."""


@dataclass(frozen=True)
class Failure:
    """A test that failed, and the first line of its message."""

    clause: str
    test: str
    message: str
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
        """Return the clauses that did not find the defect in this store; if it is sound, those that failed."""
        failed = {(each.clause, each.test) for each in judged.failures if re.search(self.seen, each.message)}
        hit = {clause: any((clause, test) in failed for test in tests) for clause, tests in self.tests.items()}
        return [clause for clause, found in hit.items() if found == self.sound]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier", default="standard", choices=["smoke", "standard", "deep"])
    parser.add_argument("--runs", type=Path, default=HERE.parent / "build" / "upstream", help="for the runs' own files")
    parser.add_argument("--store", action="append", choices=[*MCP_TS_STORES, "none"], help="judge only this one anew")
    parser.add_argument("--write", action="store_true", help="judge nothing, and write from docs/upstream.json.gz")
    given = parser.parse_args()
    defects = known_defects()
    if not given.write:
        given.runs.mkdir(parents=True, exist_ok=True)
        for store in MCP_TS_STORES:
            if given.store is None or store in given.store:
                judge(store, given.tier, given.runs.resolve())
                if large := [
                    clause for each in defects if each.deep and store in each.stores for clause in each.clauses
                ]:
                    judge(store, DEEP, given.runs.resolve(), clauses=large)
        save([read(store, given.runs) for store in MCP_TS_STORES], defects, DATA)
    report, missed = load(DATA)
    SUMMARY.write_text("\n".join(document(report, defects, missed)) + "\n", encoding="utf-8")
    PICTURE.write_text(picture(report), encoding="utf-8")
    for what, stores in missed.items():
        for store, clauses in stores.items():
            print(f"not as it is known: {store}: {what} ({', '.join(clauses)})", file=sys.stderr)
    return 1 if missed else 0


def known_defects() -> list[Defect]:
    """Return what docs/upstream.yaml lists."""
    return [Defect(**entry) for entry in yaml.safe_load((HERE / "upstream.yaml").read_text(encoding="utf-8"))]


def judge(store: str, tier: str, runs: Path, clauses: Sequence[str] = ()) -> None:
    """Run the suite, or these clauses of it, on a store. That it fails is expected; that it has no verdict is not."""
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
        raise SystemExit(f"the run on mcp-ts:{store} came to no verdict: see {runs / name}.txt")
    for made in (runs / f"{name}.json", runs / f"{name}.xml"):
        made.write_text(placeless(made.read_text()))


def placeless(text: str) -> str:
    """Return the text without the paths of this machine."""
    for place, name in ((Path(sys.prefix), "…"), (HERE.parent, "…"), (Path.home(), "~")):
        text = text.replace(f"{place}/", f"{name}/")
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/[\w.-]+/|/dev/shm/[\w.-]+/", "…/", text)


def read(store: str, runs: Path) -> Judged:
    """Return the results of the runs on a store. A clause that failed at the deep tier has failed."""
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
            failures.append(Failure(clause, name, (failed.text or "").partition("\n")[0], deep))
    return failures


def save(judged: Sequence[Judged], defects: Sequence[Defect], path: Path) -> None:
    """Write what the pages need: one report of all stores without what is empty, and the defects that were missed."""
    report = merge([(one.store, one.report) for one in judged])[0].to_json()
    for backend in report["backends"]:
        backend["clauses"] = [
            {key: value for key, value in clause.items() if value and key not in {"scenario", "reproducer", "kind"}}
            for clause in backend["clauses"]
        ]
    found = {each.what: {one.store: each.missed(one) for one in judged if one.store in each.stores} for each in defects}
    missed = {
        what: kept for what, stores in found.items() if (kept := {one: ids for one, ids in stores.items() if ids})
    }
    text = json.dumps({"report": report, "missed": missed}, ensure_ascii=False, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode("utf-8", "backslashreplace"), mtime=0))


def load(path: Path) -> tuple[Report, Missed]:
    """Return what :func:`save` has written."""
    data: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return Report.from_json(data["report"]), data["missed"]


def document(report: Report, defects: Sequence[Defect], missed: Missed) -> Iterator[str]:
    """Return the lines of docs/upstream.md."""
    packages = ", ".join(f"{name} {version}" for name, version in VERSIONS.items())
    yield f"# The stores of {SDK} {VERSIONS[SDK]}, judged"
    yield ""
    yield f"By {report.suite}, contract {report.revision} ({len(report.backends[0].clauses)} clauses),"
    yield f"tier {report.tier}, seed {report.seed}, on {report.when[:10]}, with {packages}."
    yield "Nothing of upstream was changed."
    yield ""
    yield f"![Clauses that passed, failed and were not judged, for each store](pictures/{PICTURE.name})"
    yield ""
    yield f"[The full page]({FULL_PAGE}) has every clause of every store, with what was returned and the history."
    yield ""
    yield "## Verdicts"
    yield ""
    yield "| store | passed | failed MUST | failed SHOULD | not applicable | not measured | verdict |"
    yield "| :-- | --: | --: | --: | --: | --: | :-- |"
    for backend in report.backends:
        failed, advised = backend.count(Outcome.FAILED, "MUST"), backend.count(Outcome.FAILED, "SHOULD")
        rest = [backend.count(outcome) for outcome in (Outcome.NOT_APPLICABLE, Outcome.NOT_MEASURED)]
        cells = [f"`{backend.name}`", backend.count(Outcome.PASSED), failed, advised, *rest]
        yield f"| {' | '.join(map(str, cells))} | {backend.verdict.replace('_', ' ')} |"
    yield ""
    yield "A clause may fail by another clause's defect: if a store alters a field (RT-2, RT-7) or returns expired"
    yield "sessions (EX-2), most clauses that compare whole sessions or wait for expiry fail with it."
    yield ""
    yield "## Known defects"
    yield ""
    yield "These were found by hand before the suite existed. The run found each of them again, by each of the clauses;"
    yield "an exception is in bold."
    yield ""
    yield "| defect | clauses | found in |"
    yield "| :-- | :-- | :-- |"
    for defect in defects:
        if defect.unseen:
            seen = f"not judged: {defect.unseen}"
        else:
            seen = ", ".join(_found(defect, store, missed) for store in MCP_TS_STORES if store in defect.stores)
            seen += ", at the deep tier" if defect.deep else ""
        yield f"| {defect.what.replace('|', '/')} | {', '.join(defect.clauses)} | {seen} |"
    yield ""
    yield "## Judge them again"
    yield ""
    yield "`make upstream` judges all five and writes this page. It needs Node.js 20 with npm, Redis or Valkey, and"
    yield "PostgreSQL ([the Supabase stack](supabase-stack.md)). [The bridge](bridge-protocol.md#mcp-tssdk) drives the"
    yield "package. [Use a store](use-a-store.md#move-from-mcp-tssdk) says how to move to the stores of this package."


def _found(defect: Defect, store: str, missed: Missed) -> str:
    clauses = missed.get(defect.what, {}).get(store, [])
    if defect.sound:
        return f"**{store} failed**" if clauses else f"{store} passed"
    return f"**not in {store} ({', '.join(clauses)})**" if clauses else store


def picture(report: Report) -> str:
    """Return docs/pictures/upstream.svg."""
    counts = {}
    for backend in report.backends:
        passed, failed = backend.count(Outcome.PASSED), backend.count(Outcome.FAILED)
        counts[backend.name.removeprefix("mcp-ts:")] = (passed, failed, len(backend.clauses) - passed - failed)
    return bars(counts, f"The stores of {SDK} {VERSIONS[SDK]}: clauses by outcome")


if __name__ == "__main__":
    sys.exit(main())
