"""A terminal shows which test is running and for how long; nothing else does."""

from __future__ import annotations

import os
import pty
import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pytest_mcp_storage.session import running
from pytest_mcp_storage.session.running import ERASE, RESTORE, SAVE, Running

pytest_plugins = ["pytester"]

RUN = ("--mcp-backend=memory", "--mcp-tier=smoke", "--mcp-clause=LC-2", "--mcp-no-coverage", "-p", "no:randomly")
SHOWN_AT_ONCE = """
from pytest_mcp_storage.session import running

running.AFTER, running.EVERY = 0.0, 0.001
"""
LOCATION = ("test_mcp_expiry.py", 1, "EX-2 test_no_read_shows_an_expired_session[store]")


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Running, int]]:
    """Return the hooks, with a writer that is 80 columns wide, and the end of a pipe that reads what they write."""
    monkeypatch.setattr(running, "AFTER", 0.0)
    monkeypatch.setattr(running, "EVERY", 0.001)
    read, write = os.pipe()
    hooks = Running(SimpleNamespace(fullwidth=80, width_of_current_line=20), write)
    yield hooks, read
    os.close(read)


def test_the_test_that_runs_is_shown_with_its_time_and_erased_before_its_result(output: tuple[Running, int]) -> None:
    hooks, read = output
    hooks.pytest_runtest_logstart("EX-2", LOCATION)
    shown = os.read(read, 200).decode().partition(RESTORE)[0]
    assert shown == f"{SAVE} {LOCATION[2]} 0 s{ERASE}"
    hooks.pytest_runtest_logreport(SimpleNamespace(when="call", nodeid="EX-2"))  # type: ignore[arg-type]
    hooks.pytest_sessionfinish()
    rest = os.read(read, 1_000_000).decode()
    assert rest.endswith(ERASE)


def test_a_long_name_is_cut_and_its_time_is_not(output: tuple[Running, int]) -> None:
    hooks, read = output
    hooks.pytest_runtest_logstart("EX-2", (*LOCATION[:2], "EX-2 " + "long" * 40))
    shown = os.read(read, 500).decode().partition(RESTORE)[0].removeprefix(SAVE)
    hooks.pytest_sessionfinish()
    assert shown.endswith(f"… 0 s{ERASE}")
    assert len(shown.removesuffix(ERASE)) == 80 - 20 - 2


def test_of_several_tests_the_one_that_runs_longest_is_shown(output: tuple[Running, int]) -> None:
    hooks, read = output
    hooks._started = {"a": ("EX-1 first", -100.0), "b": ("EX-2 second", -50.0)}
    shown = os.read(read, 500).decode()
    hooks.pytest_sessionfinish()
    assert "EX-1 first" in shown
    assert re.search(r"\d+ min \d+ s", shown)
    assert "second" not in shown


@pytest.mark.parametrize(("options", "shown"), [((), True), (("-q",), True), (("-s",), False)])
def test_a_terminal_shows_it_unless_something_else_writes_there(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], shown: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    pytester.makeconftest(SHOWN_AT_ONCE)
    assert (SAVE in on_a_terminal([*RUN, *options])) is shown


def test_a_file_gets_no_line_of_it(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    pytester.makeconftest(SHOWN_AT_ONCE)
    result = pytester.runpytest_subprocess(*RUN)
    assert "passed" in result.stdout.str()
    assert SAVE not in result.stdout.str()


def on_a_terminal(options: list[str]) -> str:
    """Return what pytest prints to a terminal."""
    written: list[bytes] = []
    command = [sys.executable, "-m", "pytest", *options]
    process, terminal = pty.fork()
    if not process:
        os.execv(sys.executable, command)
    try:
        while chunk := os.read(terminal, 65_536):
            written.append(chunk)
    except OSError:  # the terminal was closed: the process has ended
        pass
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    text = b"".join(written).decode()
    assert os.waitstatus_to_exitcode(status) in (0, 1), text
    assert "passed" in text
    return text
