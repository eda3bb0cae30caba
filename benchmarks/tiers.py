"""The time of each tier on each bundled store: ``python benchmarks/tiers.py [BACKEND…]``.

Each is a run of the conformance suite in a new process, with its start. The project's limits are printed next to the
seconds; they apply to two idle cores.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

BARS = {("memory", "smoke"): 5, ("memory", "standard"): 30, ("sqlite", "standard"): 60, ("supabase", "standard"): 120}
TIERS = ("smoke", "standard")
WORKERS = ((), ("-n2",))


def main(backends: list[str]) -> int:
    missed = 0
    for backend in backends:
        for tier in TIERS:
            for workers in WORKERS:
                with tempfile.TemporaryDirectory() as folder:
                    start = time.perf_counter()
                    options = [f"--mcp-backend={backend}", f"--mcp-tier={tier}", "--hypothesis-seed=0", *workers]
                    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
                    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True)
                    seconds = time.perf_counter() - start
                bar = BARS.get((backend, tier))
                verdict = f"bar {bar} s: {'kept' if seconds <= bar else 'MISSED'}" if bar and not workers else ""
                missed += "MISSED" in verdict
                state = "passed" if done.returncode == 0 else f"exit code {done.returncode}"
                way = "two workers" if workers else "one process"
                print(f"{backend:9} {tier:9} {way:12} {seconds:6.1f} s  {state:12} {verdict}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or ["memory", "file", "sqlite", "supabase"]))
