"""How soon a verdict comes, against an earlier commit: ``python benchmarks/verdict.py [--rounds N] [ROW…]``.

Both commits judge the same store by turns, each run in a process that starts anew, and the ratio of each turn is
reported as a median. CPU time holds on a busy machine too; wall time needs a quiet one. The earlier commit is checked
out to a temporary folder and runs with this environment's dependencies. A row is given by a part of its title.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "a4935e0"
FOUR = ("memory", "file", "sqlite", "supabase")


@dataclass(frozen=True)
class Row:
    """A ratio of CPU or wall time, and its bar. Without a ratio: seconds of wall time of this commit alone."""

    title: str
    options: tuple[str, ...]
    bar: float
    cpu: bool = False
    paired: bool = True


def judged(*backends: str, tier: str) -> tuple[str, ...]:
    return (*(f"--mcp-backend={backend}" for backend in backends), f"--mcp-tier={tier}")


ROWS = (
    Row("CPU of smoke on memory", judged("memory", tier="smoke"), 0.4, cpu=True),
    Row("CPU of standard on memory", judged("memory", tier="standard"), 0.5, cpu=True),
    Row("CPU of standard on sqlite", judged("sqlite", tier="standard"), 0.6, cpu=True),
    Row("CPU of standard on file", judged("file", tier="standard"), 0.6, cpu=True),
    Row("wall of standard on supabase", judged("supabase", tier="standard"), 0.4),
    Row("wall of standard on redis", judged("redis", tier="standard"), 0.4),
    Row("wall of make conformance", judged(*FOUR, tier="standard"), 0.35),
    Row(
        "wall of a callable at smoke", judged("reference_backends:MemoryStorageBackend", tier="smoke"), 25, paired=False
    ),
    Row(
        "wall until the first failing clause",
        ("--mcp-backend=pytest_mcp_storage.zoo.mutants.expiry:IgnoresTtl", "--mcp-tier=smoke", "-x"),
        1.5,
        paired=False,
    ),
)


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check a commit out to a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", tree, commit], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def seconds(row: Row, sources: Path) -> float:
    """Run pytest on the sources in that folder; return its CPU or wall time, children included."""
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir=.", "-q", "-p", "no:cacheprovider"]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "-p", "no:randomly", "--hypothesis-seed=0", *row.options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(sources)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            output.seek(0)
            raise SystemExit(f"{row.title}: pytest ended with {process.returncode}\n{output.read().decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime if row.cpu else wall


def measured(row: Row, before: Path, rounds: int) -> bool:
    """Print the row; return whether its bar holds."""
    ours, theirs = [], []
    for number in range(rounds):
        for sources in (ROOT, before) if number % 2 else (before, ROOT):
            if sources == ROOT:
                ours.append(seconds(row, ROOT))
            elif row.paired:
                theirs.append(seconds(row, before))
    figure = (
        statistics.median(a / b for a, b in zip(ours, theirs, strict=True)) if row.paired else statistics.median(ours)
    )
    then = f"{statistics.median(theirs):7.1f} s before" if row.paired else " " * 16
    kept = figure <= row.bar
    unit = " " if row.paired else "s"
    print(
        f"{row.title:<38} {statistics.median(ours):7.1f} s {then}  {figure:6.2f} {unit}"
        f"  bar ≤ {row.bar:g}  {'holds' if kept else 'DOES NOT HOLD'}",
        flush=True,
    )
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="parts of titles; default: every row")
    parser.add_argument("--commit", default=BEFORE)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    chosen = [row for row in ROWS if not given.rows or any(each in row.title for each in given.rows)]
    with checked_out(given.commit) as before:
        missed = [row for row in chosen if not measured(row, before, given.rounds)]
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
