"""The folder ``supabase/`` of this repository does not hide the package of that name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_package_is_imported_from_the_checkout() -> None:
    code = "import supabase; print(supabase.create_client.__module__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("supabase."), done.stderr
