"""How to apply migrations. The Supabase CLI has two major versions with different commands."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

V2 = "supabase db push --linked"
V3 = "supabase db push --remote"

_CELLAR = re.compile(r"/Cellar/supabase(?:-beta)?/(\d+)\.")


def migrate(table: str = "mcp_sessions") -> str:
    """Return how to create the table with the installed Supabase CLI; with both versions if none is found."""
    option = "" if table == "mcp_sessions" else f" --table {table}"
    return f"run `mcp-storage supabase-init{option}`, then {push(installed_major())}"


def push(major: int | None) -> str:
    """Return the command that applies migrations to a hosted project, for a major version of ``supabase``."""
    if major is None:
        return f"`{V2}` (Supabase CLI v2) or `{V3}` (v3; with --yes in CI)"
    return f"`{V3}` (with --yes in CI)" if major >= 3 else f"`{V2}`"


def installed_major() -> int | None:
    """Return the major version of the ``supabase`` on the PATH or in ``./node_modules``; ``None`` if it is not known.

    Read it from the files of npm or Homebrew. Run no program.
    """
    found = shutil.which("supabase")
    program = Path(found).resolve() if found else None
    if program is not None and (cellar := _CELLAR.search(str(program))):
        return int(cellar[1])
    folders = [*(program.parents if program else ()), Path("node_modules", "supabase")]
    return next((major for folder in folders if (major := _npm_major(folder)) is not None), None)


def _npm_major(folder: Path) -> int | None:
    try:
        package = json.loads((folder / "package.json").read_text("utf-8"))
        return int(package["version"].partition(".")[0]) if package["name"] == "supabase" else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
