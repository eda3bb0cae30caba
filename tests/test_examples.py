"""The examples, copied and run as a user would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_diskcache_store_gets_its_verdict(tmp_path: Path) -> None:
    folder = shutil.copytree(
        EXAMPLES / "diskcache_store", tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__")
    )
    command = [sys.executable, "-m", "pytest", "-q", "--mcp-tier=smoke", "--mcp-report=out.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (backend,) = json.loads((folder / "out.json").read_text())["backends"]
    assert backend["verdict"] == "conformant"
    assert backend["version"] != "0.1.0", "it is the store's version, not the suite's"
