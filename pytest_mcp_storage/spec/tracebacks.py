"""Where an exception was raised: files, lines and functions, and no values, which may be secret."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import hypothesis

OURS = Path(__file__).parents[1]
AUTHORS = ("harnesses", "bridge", "stacks", "zoo")
"""Folders of ours that hold harnesses: their frames are an author's."""
RUN_BY = tuple(Path(module.__file__).parent for module in (asyncio, concurrent.futures, hypothesis) if module.__file__)
MOST = 4
"""Frames that are shown at most: the first ones, where the store was called, and the last ones, where it failed."""


def raised_at(error: BaseException) -> str:
    """Return the frames below the suite, outermost first: ``store.py:7 in get_session``. Empty if there are none."""
    codes = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    frames = [(Path(code.co_filename), line, code.co_name) for code, line in codes]
    last_of_ours = max((number for number, (path, *_) in enumerate(frames) if path.is_relative_to(OURS)), default=-1)
    shown = [f"{_near(path)}:{line} in {function}" for path, line, function in frames[last_of_ours + 1 :]]
    if len(shown) > MOST:
        shown[MOST // 2 : -(MOST // 2)] = ["…"]
    return " → ".join(shown)


def called_in(error: BaseException) -> str:
    """Return the function of the harness that the suite called and that raised the error; empty if there is none."""
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [number for number, code in enumerate(codes) if _of_others(code.co_filename)]
    rest = codes[ours[-1] + 1 :] if ours else codes
    return rest[0].co_name if rest else ""


def traceback_of(error: BaseException) -> str:
    """Return the traceback without the frames of the suite and of what it runs on; whole if none are left."""
    summary = traceback.TracebackException.from_exception(error)
    if not any(_hide(each) for each in _chain(summary)):
        summary = traceback.TracebackException.from_exception(error)
    return "".join(summary.format())


def _chain(summary: traceback.TracebackException | None) -> Iterator[traceback.TracebackException]:
    while summary is not None:
        yield summary
        summary = summary.__cause__ or (None if summary.__suppress_context__ else summary.__context__)


def _hide(summary: traceback.TracebackException) -> bool:
    """Take the frames of others away, and say whether any frame is left."""
    kept = [each for each in without_import_system(summary.stack) if not _of_others(each.filename)]
    summary.stack = traceback.StackSummary.from_list(kept)
    return bool(summary.stack)


def without_import_system(frames: Iterable[traceback.FrameSummary]) -> Iterator[traceback.FrameSummary]:
    """Yield the frames without those of importlib and of import hooks, such as beartype's.

    importlib runs the code of a module with one function; what it calls without that function is a hook.
    """
    hook = False
    for each in frames:
        if each.filename.startswith("<frozen importlib"):
            hook = each.name != "_call_with_frames_removed"
        elif not hook:
            yield each


def _of_others(filename: str) -> bool:
    path = Path(filename)
    if path.is_relative_to(OURS):
        return not any(path.is_relative_to(OURS / folder) for folder in AUTHORS)
    return filename.startswith("<frozen ") or any(path.is_relative_to(folder) for folder in RUN_BY)


def _near(path: Path) -> str:
    """Return the path from this folder, or from the folder that it was imported from."""
    roots = [Path.cwd(), *sorted(map(Path, sys.path), key=lambda root: len(str(root)), reverse=True)]
    near = next((path.relative_to(root) for root in roots if root.is_absolute() and path.is_relative_to(root)), None)
    return (near or Path(path.name)).as_posix()
