"""Run the command of a step: print its name first, then every half minute how long it has run and its last line.

``python tools/step.py NAME COMMAND…`` prints the command's output only if it fails, and exits with its code.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

QUIET = 30.0
"""Seconds without a line from us: then the user wants to know that the command still runs."""


def run(name: str, *command: str, quiet: float = QUIET, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command, and return its exit code and its output, errors included. It gets no standard input."""
    print(name, flush=True)
    start = time.monotonic()
    options |= {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, **options) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=quiet)
            except subprocess.TimeoutExpired as waited:
                shown = last_line((waited.output or b"").decode(errors="replace"))[:100]
                print(f"  … {time.monotonic() - start:.0f} s: {shown}", flush=True)
            else:
                return subprocess.CompletedProcess(command, process.returncode, output.decode(errors="replace"))


def last_line(output: str) -> str:
    """Return the last line that is not empty; an empty text if there is none."""
    return ([""] + [line.strip() for line in output.splitlines() if line.strip()])[-1]


def main(name: str, *command: str) -> int:
    """Run the command, and print its output if it fails."""
    done = run(name, *command)
    if done.returncode:
        print(f"{done.stdout}\nfailed: {name}", flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
