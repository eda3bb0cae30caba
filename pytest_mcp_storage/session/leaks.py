"""Failures that pytest adds to a clause test after the clause was judged, mostly leaks under ``-W error``."""

from __future__ import annotations

import gc
import re
import sys
import textwrap
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

MOST = 3
"""Leaks of one test that are shown."""
LEAKS = ("PytestUnraisableExceptionWarning", "PytestUnhandledThreadExceptionWarning", "ResourceWarning")


@dataclass(frozen=True)
class Leak:
    """What pytest or another plugin reported about a clause test, apart from the clause's judgement."""

    backend: str
    clause: str
    test: str
    what: str

    @property
    def kind(self) -> tuple[str, str]:
        """Return what leaks with the same cause have in common: their words without numbers and paths."""
        return self.backend, re.sub(r"'[^']*'|0x[0-9a-f]+|\d+", "…", self.what)


def what_failed(error: BaseException) -> str:
    """Return the message of pytest's exception in one line; for a leak, of the exception that was lost."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(list(dict.fromkeys(map(what_failed, _leaves(error))))[:MOST])
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip() and "tracemalloc" not in line]
    if type(error).__name__ in LEAKS and error.__cause__ is None:
        return lines[-1] if lines else type(error).__name__  # pytest 8.3 puts the traceback into the message
    return f"{type(cause).__name__}: {lines[0] if lines else ''}".removesuffix(": ")


def is_leak(error: BaseException) -> bool:
    """Say whether an exception is a warning that pytest raises for a leak or for a thread that failed."""
    return all(type(each).__name__ in LEAKS for each in _leaves(error))


def explained(leak: Leak, error: BaseException, text: str) -> str:
    """Return the text of the failure: what failed, in which test, of which store, and what to do.

    ``text``: pytest's own. Its frames do not concern a leak, and a test may leak a hundred times.
    """
    lines = [f"{leak.clause}: {leak.what}", f"  test:      {leak.test}", f"  backend:   {leak.backend}"]
    if not is_leak(error):
        meaning = ["pytest or another plugin failed the test; the clause was judged before"]
    else:
        meaning = [
            "the store or its harness left something open, or an exception was lost in",
            "__del__ or in a thread, and the run treats warnings as errors. Close it in",
            "disconnect() or in __aexit__().",
        ]
        shown = {what_failed(each): each for each in reversed(_leaves(error))}
        text = "\n".join(map(_shown, list(shown.values())[:MOST]))
    lines += [f"  {'meaning:' if not number else '':<10} {line}" for number, line in enumerate(meaning)]
    return "\n".join([*lines, textwrap.indent(text.strip(), "    ")])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def _shown(error: BaseException) -> str:
    """Return pytest's words for a leak, and the traceback of the exception that was lost."""
    cause = error.__cause__
    return f"{error}\n{''.join(traceback.format_exception(cause))}" if cause else str(error)


def problems(leaks: Iterable[Leak]) -> list[str]:
    """Return a line for each kind of leak."""
    kinds: dict[tuple[str, str], list[Leak]] = {}
    for leak in leaks:
        kinds.setdefault(leak.kind, []).append(leak)
    found = []
    for same in kinds.values():
        first, tests = same[0], len({each.test for each in same})
        place = f"{first.clause} ({first.test})" + (f" and {tests - 1} more tests" if tests > 1 else "")
        found.append(f"{first.backend}: {place} failed after the clause was judged: {first.what}")
    return found


@contextmanager
def end_of_run(found: list[str]) -> Iterator[None]:
    """Add to ``found`` what leaks while the stores are destroyed, if the run treats warnings as errors."""
    seen: list[str] = []

    def keep(unraisable: sys.UnraisableHookArgs) -> None:
        seen.append(f"{unraisable.exc_type.__name__}: {unraisable.exc_value}".removesuffix(": None"))

    before, sys.unraisablehook = sys.unraisablehook, keep
    try:
        yield
        gc.collect()
    finally:
        sys.unraisablehook = before
    for what in dict.fromkeys(seen):
        message = f"leaked while the stores were destroyed: {what}"
        try:
            warnings.warn(pytest.PytestUnraisableExceptionWarning(message), stacklevel=2)
        except pytest.PytestUnraisableExceptionWarning:
            found.append(f"{message}; the run treats warnings as errors")
