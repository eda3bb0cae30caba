"""What a store writes apart from its results: log records, Python warnings, texts of exceptions (EN-10, MX-4)."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

from pytest_mcp_storage.canary.canaries import Canaries


class LogCapture:
    """Captures, inside its ``with`` block, every logger at every level, and Python's warnings.

    The captured warnings do not pass the filters of the run: none is dropped as a repetition, none is raised.
    """

    def __init__(self) -> None:
        self.records: list[logging.LogRecord] = []
        self.warnings: list[warnings.WarningMessage] = []
        self._taken: list[tuple[str, str]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.warnings = stack.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("always")
            root, make = logging.getLogger(), logging.getLogRecordFactory()
            stack.callback(logging.setLogRecordFactory, make)
            stack.callback(root.setLevel, root.level)

            def recording_factory(*arguments: Any, **options: Any) -> logging.LogRecord:
                record = make(*arguments, **options)
                self.records.append(record)
                return record

            logging.setLogRecordFactory(recording_factory)  # also for loggers that pass nothing on to the root
            root.setLevel(logging.NOTSET)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def take(self, origin: str, shown: object) -> None:
        """Keep the text of a result, an exception or a handle. ``origin``: where it is from, in words."""
        if isinstance(shown, BaseException):
            self._taken += texts_of(shown, f"the exception of {origin}")
        else:
            self._taken += [(f"the repr of {origin}", repr(shown)), (f"the str of {origin}", str(shown))]

    def leak(self, canaries: Canaries) -> str:
        """Return what showed a secret, and which, in words; empty if nothing did."""
        said = [(origin, text.encode("utf-8", "surrogatepass")) for origin, text in self.said()]
        if not canaries.found_in(b"\0\0".join(text for _, text in said)):
            return ""
        shown = ((origin, canaries.found_in(text)) for origin, text in said)
        return next((f"{origin} shows {found}" for origin, found in shown if found), "")

    def said(self) -> Iterator[tuple[str, str]]:
        """Yield what was kept and captured: where it is from, and the text."""
        yield from self._taken
        for record in self.records:
            origin = f"a log record of {record.name}"
            yield origin, _message(record)
            yield origin, " ".join(f"{name}={value!r}" for name, value in vars(record).items())
            if record.exc_info and record.exc_info[1] is not None:
                yield from texts_of(record.exc_info[1], f"the exception in {origin}")
        for warning in self.warnings:
            yield "a Python warning", str(warning.message)


def texts_of(error: BaseException, origin: str = "an exception") -> Iterator[tuple[str, str]]:
    """Yield the text of an exception, and of each cause, context and member of it."""
    waiting: list[tuple[str, BaseException | None]] = [(origin, error)]
    seen: set[int] = set()
    while waiting:
        origin, each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield f"{origin} ({type(each).__name__})", "".join(traceback.format_exception_only(each))
        yield f"{origin} ({type(each).__name__})", repr(each)
        waiting += [(f"the cause of {origin}", each.__cause__), (f"the context of {origin}", each.__context__)]
        if isinstance(each, BaseExceptionGroup):
            waiting += [(f"an exception in {origin}", inner) for inner in each.exceptions]


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # its arguments do not fit; they are shown next to it
        return str(record.msg)
