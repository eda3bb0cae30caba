"""Where an exception was raised: files, lines and functions, and no values, which may be secret."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

OURS = Path(__file__).parents[1]
MOST = 4
"""So many frames are told: the first ones, where the store was called, and the last ones, where it broke."""


def raised_at(error: BaseException) -> str:
    """The frames below the suite's own, outermost first: ``store.py:7 in get_session``. Empty where there are none."""
    codes = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    frames = [(Path(code.co_filename), line, code.co_name) for code, line in codes]
    last_of_ours = max((number for number, (path, *_) in enumerate(frames) if path.is_relative_to(OURS)), default=-1)
    told = [f"{_near(path)}:{line} in {function}" for path, line, function in frames[last_of_ours + 1 :]]
    if len(told) > MOST:
        told[MOST // 2 : -(MOST // 2)] = ["…"]
    return " → ".join(told)


def _near(path: Path) -> str:
    """The path as seen from here, or from where it was imported: where that lies on this machine is nobody's matter."""
    roots = [Path.cwd(), *sorted(map(Path, sys.path), key=lambda root: len(str(root)), reverse=True)]
    near = next((path.relative_to(root) for root in roots if root.is_absolute() and path.is_relative_to(root)), None)
    return (near or Path(path.name)).as_posix()
