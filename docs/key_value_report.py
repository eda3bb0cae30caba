"""Judge py-key-value's stores, and write the verdicts into docs/key-value.md.

``python docs/key_value_report.py [STORE…]`` judges stores at the smoke tier. ``--reports FOLDER`` keeps the JSON
reports there. The reports of stores that are not named are read from there. docs/key-value.yaml explains each failure,
and docs/key_value_defects.py confirms it without the suite. Some stores need
``pip install 'py-key-value-aio[valkey,postgresql,duckdb,rocksdb]'``. The exit code is 1 if a failure is not explained
or not confirmed, or if an explained one was not found.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import key_value_defects
import key_value_stores
import yaml

from pytest_mcp_storage import Outcome, judge_sync
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.report.model import Report
from pytest_mcp_storage.spec.clause_ids import compact
from pytest_mcp_storage.stacks.redis.server import redis_server
from pytest_mcp_storage.stacks.supabase import start_stack

HERE = Path(__file__).parent
PAGE = HERE / "key-value.md"
START, END = "<!-- verdicts: made by docs/key_value_report.py -->", "<!-- end of verdicts -->"
STORES = {
    "memory": "Memory",
    "disk": "Disk",
    "filetree": "FileTree",
    "filetree_v1": "FileTree, V1 names (FastMCP's default)",
    "redis": "Redis, on Valkey",
    "valkey": "Valkey",
    "postgresql": "PostgreSQL",
    "duckdb": "DuckDB",
    "rocksdb": "RocksDB",
}


@contextmanager
def servers() -> Iterator[None]:
    """Start Valkey and PostgreSQL."""
    loop = SuiteLoop()
    server = redis_server(appendfsync="everysec")
    os.environ["REDIS_URL"] = loop.run(server.__aenter__()).url
    try:
        with start_stack("native") as stack:
            os.environ["POSTGRESQL_URL"] = stack.store(migrated=False).database_url or ""
            yield
    finally:
        loop.run(server.__aexit__(None, None, None))
        loop.close()


def failed(report: Report) -> list[str]:
    """Return the clauses that failed."""
    return [row.id for row in report.backends[0].clauses if row.outcome is Outcome.FAILED]


def table(reports: dict[str, Report]) -> Iterator[str]:
    yield "| store | verdict | passed | failed | not applicable | not measured | judged |"
    yield "| :-- | :-- | --: | :-- | --: | --: | :-- |"
    for store, report in reports.items():
        backend = report.backends[0]
        bad = compact(failed(report)) or "none"
        counts = [backend.count(each) for each in (Outcome.PASSED, Outcome.NOT_APPLICABLE, Outcome.NOT_MEASURED)]
        verdict = backend.verdict.replace("_", " ")
        yield f"| {STORES[store]} | {verdict} | {counts[0]} | {bad} | {counts[1]} | {counts[2]} | {report.when[:10]} |"


async def confirmed(name: str, store: str) -> bool:
    """Return whether the defect shows without the suite."""
    make: Any = getattr(key_value_stores, store)
    with tempfile.TemporaryDirectory() as folder:
        arguments = [Path(folder)] if make.__code__.co_argcount else []
        seen: bool = await getattr(key_value_defects, name)(lambda: make(*arguments))
        return seen


def defects(reports: dict[str, Report], problems: list[str]) -> Iterator[str]:
    """Yield the text of each known defect; note what is not explained, not found or not confirmed."""
    known = yaml.safe_load((HERE / "key-value.yaml").read_text(encoding="utf-8"))
    for store, report in reports.items():
        explained = {clause for each in known for clause in each["clauses"].get(store, ())}
        problems += [f"{store}: {clause} is not explained" for clause in failed(report) if clause not in explained]
        problems += [f"{store}: {clause} did not fail" for clause in sorted(explained) if clause not in failed(report)]
    for each in known:
        found = {store: clauses for store, clauses in each["clauses"].items() if store in reports}
        if not found:
            continue
        seen = {store: asyncio.run(confirmed(each["confirm"], store)) for store in found}
        problems += [f"{store}: {each['confirm']} does not confirm it" for store, shows in seen.items() if not shows]
        yield f"### {each['title']}\n"
        yield each["what"].strip() + "\n"
        for store, clauses in found.items():
            yield f"- {STORES[store]}: {compact(clauses)}"
        yield f"\nConfirmed without the suite by `{each['confirm']}` in `docs/key_value_defects.py`.\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", nargs="*", metavar="STORE", help=f"which to judge: {', '.join(STORES)}")
    parser.add_argument("--reports", type=Path, default=Path("build/key-value"), help="the folder of JSON reports")
    options = parser.parse_args()
    options.reports.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    with servers():
        for store in options.stores:
            judged = judge_sync(f"key-value:key_value_stores:{store}", tier="smoke", seed=0)
            judged.write(options.reports / f"{store}.json")
            print(f"{store}: {judged.verdict} {compact(failed(judged.report))}", flush=True)
        paths = {store: options.reports / f"{store}.json" for store in STORES}
        reports = {store: Report.load(path) for store, path in paths.items() if path.exists()}
        versions = sorted({report.backends[0].version for report in reports.values()})
        text = [f"{', '.join(versions)}, smoke tier, seed 0.", ""]
        text += [*table(reports), "", *defects(reports, problems)]
    page = PAGE.read_text(encoding="utf-8")
    block = f"{START}\n\n" + "\n".join(text).strip() + f"\n\n{END}"
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: block, page, flags=re.DOTALL), encoding="utf-8")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
