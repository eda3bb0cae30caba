"""Mutate the bundled stores and let the conformance suite judge each mutant: ``python mutation/run.py [GROUP…]``.

Works on a copy in build/mutation, so that nobody uses a mutant by accident, and continues where an earlier run stopped.
Takes hours. Run ``make clean`` to start again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("reference_backends", "pytest_mcp_storage")
GROUPS = tuple(sorted(path.stem for path in HERE.glob("*.toml")))


def judge_group(group: str, folder: Path) -> None:
    """Make the mutants of one group, judge those that have not been judged, and print the survivors."""
    commands = Path(sys.executable).parent
    environment = {**os.environ, "PYTHONPATH": str(folder), "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}

    def run(*command: str) -> None:
        subprocess.run(command, cwd=folder, env=environment, check=True)

    config, session = f"{group}.toml", f"{group}.sqlite"
    begun = (folder / session).exists()
    for package in PACKAGES:
        source = folder / "unmutated" / package
        if not begun:
            shutil.copytree(HERE.parent / package, source, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(source, folder / package, dirs_exist_ok=True)  # an interrupted run has left a mutant
    for file in ("judge.py", config):
        shutil.copy(HERE / file, folder)
    run("python", "-m", "compileall", "-q", *PACKAGES)
    run("cosmic-ray", "baseline", config)  # a suite that fails without a mutant would kill every mutant
    if not begun:
        run("cosmic-ray", "init", config, session)
        run("cr-filter-operators", session, config)
    run("cosmic-ray", "exec", config, session)
    run("cr-report", "--show-diff", "--surviving-only", session)


if __name__ == "__main__":
    for each in sys.argv[1:] or GROUPS:
        place = HERE.parent / "build" / "mutation" / each
        place.mkdir(parents=True, exist_ok=True)
        judge_group(each, place.resolve())
