"""The arrows of ARCHITECTURE.md, and the size of the rooms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("reference_backends", "pytest_mcp_storage")
LONGEST = 400


def test_imports_go_down_the_layers_only() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_has_outgrown_its_room(package: str) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / package).rglob("*.py")}
    assert [str(path) for path, lines in lengths.items() if lines > LONGEST] == []


def test_every_room_is_in_the_drawing() -> None:
    drawing = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    here = ROOT / "pytest_mcp_storage"
    files = [path.name for path in here.glob("*.py") if path.name != "__init__.py"]
    rooms = [f"{path.parent.name}/" for path in here.glob("*/__init__.py")]
    assert [name for name in (*files, *rooms) if name not in drawing] == []
