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


def say(text: str) -> None:
    """Print a step."""
    print(f"setup: {text}", flush=True)


def run(name: str, *command: str, quiet: float = QUIET, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command, and return its exit code and its output, errors included. It gets no standard input."""
    say(name)
    start = time.monotonic()
    options |= {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, **options) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=quiet)
            except subprocess.TimeoutExpired as waited:
                say(f"… {time.monotonic() - start:.0f} s: {last_line(waited.output)[:100] or name}")
            else:
                return subprocess.CompletedProcess(command, process.returncode, output.decode(errors="replace"))


def last_line(output: bytes | None) -> str:
    """Return the last line that is not empty."""
    lines = (output or b"").decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def main(name: str, *command: str) -> int:
    """Run the command, and print its output if it fails."""
    done = run(name, *command)
    if done.returncode:
        print(done.stdout, flush=True)
        say(f"failed: {name}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
