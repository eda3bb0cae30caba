"""The time that the plugin adds to a pytest run without a backend: ``python benchmarks/idle_plugin.py [ROUNDS]``.

Runs an empty test session with the plugin and without it (``-p no:mcp_storage``) alternately, each in a new process.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR = 1.05


def seconds(folder: Path, *options: str) -> float:
    """Return the seconds of one run."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_empty.py").write_text("def test_nothing():\n    pass\n")
        pairs = [(seconds(folder), seconds(folder, "-p", "no:mcp_storage")) for _ in range(rounds + 1)][1:]
    ratio = statistics.median(with_it / without for with_it, without in pairs)
    medians = [statistics.median(each) for each in zip(*pairs, strict=True)]
    print(f"an empty pytest run with the plugin {medians[0]:.3f} s, without it {medians[1]:.3f} s, {rounds} pairs")
    print(f"median ratio {ratio:.3f}, at most {BAR}: {'kept' if ratio <= BAR else 'MISSED'}")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
