"""Which clause is running, and for how long: on a terminal, after the last character that pytest has printed.

The line is rewritten in place and erased before pytest prints more. Nothing is printed if the output is no terminal.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

AFTER = 3.0
"""Seconds that a test runs before it is shown."""
EVERY = 1.0
"""Seconds between two updates."""
NARROWEST = 20
"""Columns below which nothing is shown."""
STDOUT = 1
ERASE = "\x1b[K"
SAVE, RESTORE = "\x1b7", "\x1b8"


def started(config: pytest.Config) -> Running | None:
    """Follow the tests of this run if pytest prints to a terminal that can move the cursor, and nothing else does."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    alone = not config.option.usepdb and config.option.capture != "no"
    if reporter is None or not (alone and os.isatty(STDOUT) and os.environ.get("TERM", "dumb") != "dumb"):
        return None
    running = Running(config.get_terminal_writer(), os.dup(STDOUT))
    config.pluginmanager.register(running, "mcp-storage-running")
    return running


class Running:
    """The hooks of pytest that follow which tests run, and the thread that shows the one that runs longest.

    ``writer``: pytest's, which knows the current column. ``file``: the number of the open terminal: pytest's capture
    does not reach it. Under xdist several tests run at once.
    """

    def __init__(self, writer: Any, file: int) -> None:
        self._writer = writer
        self._file = file
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._started: dict[str, tuple[str, float]] = {}
        self._shown = False
        self._thread = threading.Thread(target=self._follow, name="mcp-storage-running", daemon=True)
        self._thread.start()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        with self._lock:
            self._started[nodeid] = location[2], time.monotonic()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.erase()
        with self._lock:
            if report.when != "setup":
                self._started.pop(report.nodeid, None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._end.set()
        self._thread.join()
        self.erase()
        os.close(self._file)

    def _follow(self) -> None:
        while not self._end.wait(EVERY):
            with self._lock:
                self._show()

    def _show(self) -> None:
        running = [(start, name) for name, start in self._started.values()]
        start, name = min(running, default=(float("inf"), ""))
        seconds = time.monotonic() - start
        room = self._writer.fullwidth - self._writer.width_of_current_line - 2
        if seconds < AFTER or room < NARROWEST:
            return
        took = f" {seconds:.0f} s" if seconds < 60 else f" {seconds // 60:.0f} min {seconds % 60:.0f} s"
        longest = room - len(took) - 1
        shown = name if len(name) <= longest else f"{name[: longest - 1]}…"
        self._write(f"{SAVE} {shown}{took}{ERASE}{RESTORE}")
        self._shown = True

    def erase(self) -> None:
        """Erase the line before something else is printed."""
        with self._lock:
            if self._shown:
                self._write(ERASE)
                self._shown = False

    def _write(self, text: str) -> None:
        try:
            os.write(self._file, text.encode("utf-8", "replace"))
        except OSError:  # the terminal was closed
            self._started.clear()
