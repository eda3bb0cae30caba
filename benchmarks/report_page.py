"""How long the report's page takes to load in Chromium, with 20 backends and every clause of the contract.

    python benchmarks/report_page.py

Each load is timed from navigation to the first frame after the load event, alternately with a page of the same number
of cells in a plain table. The limit is for the report's page: 1,000 ms with 20 backends.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from pytest_mcp_storage.report.model import CONFORMANT, NOT_CONFORMANT, BackendReport, ClauseReport, Report
from pytest_mcp_storage.report.write import write
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.spec.outcome import Outcome

BACKENDS = 20
ROUNDS = 7
BAR_MS = 1000.0
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
CALL = "store.create_session(SessionData({'session_id': 's', 'identity': 'a', 'server_url': '%s'}), ttl=1)  →  None"
LOADED = """() => new Promise(done => {
    const loaded = () => requestAnimationFrame(() => setTimeout(() => done(performance.now())));
    document.readyState === "complete" ? loaded() : addEventListener("load", loaded);
})"""


def report(every: int) -> Report:
    """Return a report in which one clause in ``every`` fails with the longest possible history; 0: none fails."""
    groups = {clause.group: clause.group_title for clause in load_clauses()}
    return Report("pytest-mcp-storage", "2026-11", "standard", 0, list(_backends(every)), groups)


def _backends(every: int) -> Iterator[BackendReport]:
    for column in range(BACKENDS):
        rows = []
        for number, clause in enumerate(load_clauses()):
            row = ClauseReport(clause.id, clause.level.value, Outcome.PASSED, clause.statement, clause.group, 40, 0.3)
            row.reproduce = f"pytest --mcp-backend=store{column} --mcp-clause={clause.id} --hypothesis-seed=0"
            if every and (number + column) % every == 0:
                row.outcome, row.message, row.should = Outcome.FAILED, "get_session showed the session", "return None"
                row.history = [CALL % ("x" * 300)] * 40
            rows.append(row)
        verdict = NOT_CONFORMANT if every else CONFORMANT
        yield BackendReport(f"store{column}", "stores:Harness", "1.0", ["KEY"], verdict, rows)


def bare() -> str:
    cells = "<td>x</td>" * BACKENDS
    return f"<!doctype html><title>bare</title><table>{f'<tr>{cells}</tr>' * len(load_clauses())}</table>"


def load_ms(page: Page, path: Path) -> float:
    """Return the milliseconds from navigation to the first frame after the load event."""
    page.goto(path.as_uri(), wait_until="commit")
    taken: float = page.evaluate(LOADED)
    return taken


def main() -> int:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("Chromium is needed: apt-get install chromium")
        return 2
    holds = True
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        plain = Path(folder, "bare.html")
        plain.write_text(bare())
        print(
            f"{BACKENDS} backends × {len(load_clauses())} clauses, Chromium {browser.version}, {ROUNDS} rounds, medians"
        )
        for title, every in (("nothing failed", 0), ("one clause in ten failed", 10), ("every clause failed", 1)):
            path = Path(folder, f"report{every}.html")
            write(report(every), path)
            times = [(load_ms(page, path), load_ms(page, plain)) for _ in range(ROUNDS + 1)][1:]
            ours, theirs = (statistics.median(each) for each in zip(*times, strict=True))
            ratio = statistics.median(one / other for one, other in times)
            holds &= ours < BAR_MS
            size = path.stat().st_size / 1e6
            print(f"{title:<26}{size:5.1f} MB{ours:8.0f} ms   bare table{theirs:6.0f} ms   ratio {ratio:5.1f}   "
                  f"bar < {BAR_MS:.0f} ms  {'holds' if ours < BAR_MS else 'DOES NOT HOLD'}")  # fmt: skip
        browser.close()
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
