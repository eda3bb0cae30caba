"""A judging run with other plugins: leaks that pytest reports, outcomes that others change, replaced threads."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from pytest_mcp_storage.session import leaks

pytest_plugins = ["pytester"]

STORES = """
import asyncio, threading
from pytest_mcp_storage import BackendHarness, Capability
from reference_backends import MemoryStorageBackend

class Broken:
    def __init__(self): self.me = self  # only the garbage collector ends it
    def __del__(self): raise ValueError("lost in __del__")

class Kept(BackendHarness):
    store = MemoryStorageBackend
    async def open(self, **options):
        store = self.store()
        await store.init()
        return store

class Leaky(Kept):
    class store(MemoryStorageBackend):
        async def get_session(self, identity, session_id):
            open(__file__)
            return await super().get_session(identity, session_id)

class Threaded(Kept):
    class store(MemoryStorageBackend):
        async def get_session(self, identity, session_id):
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
            return await super().get_session(identity, session_id)

class Forgetful(Kept):
    class store(MemoryStorageBackend):
        async def get_session(self, identity, session_id):
            return None

class Slow(Kept):
    class store(MemoryStorageBackend):
        async def get_session(self, identity, session_id):
            if identity != "mcp-storage-pace":  # asked once, when the store is opened
                await asyncio.sleep(2)
            return await super().get_session(identity, session_id)

class Open(Kept):
    class store(MemoryStorageBackend):
        async def disconnect(self): ...

class Faulty(Kept):
    capabilities = frozenset({Capability.AT_REST})
    async def stored_bytes(self):
        return b""
    async def stored_fields(self, identity, session_id):
        return {}[self.missing()]
    def missing(self):
        return "no such column"
    async def replace_stored_field(self, identity, session_id, field, value): ...

class LeakyHarness(Kept):
    async def __aexit__(self, *exc):
        Broken()
"""
PLAIN = ("-p", "no:randomly", "-p", "no:asyncio", "-p", "no:cacheprovider", "--mcp-tier=smoke", "--mcp-report=out.json",
         "--junitxml=junit.xml")  # fmt: skip
TEST = "test_absent_empty_false_and_none_stay_apart"


def run(pytester: pytest.Pytester, store: str, *more: str, clause: str = "RT-2") -> pytest.RunResult:
    pytester.makepyfile(some_stores=STORES)
    return pytester.runpytest_subprocess(*PLAIN, f"--mcp-backend=some_stores:{store}", f"--mcp-clause={clause}", *more)


def problems(pytester: pytest.Pytester) -> Any:
    return json.loads((pytester.path / "out.json").read_text())["problems"]


def junit_failures(pytester: pytest.Pytester) -> int:
    return sum(int(suite.get("failures", 0)) for suite in ET.parse(pytester.path / "junit.xml").getroot())


# -- leaks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["serial", "a worker"])
@pytest.mark.parametrize(
    ("store", "what"),
    [("Leaky", "ResourceWarning: unclosed file"), ("Threaded", "ZeroDivisionError: division by zero")],
)
def test_a_leak_says_what_leaked_in_which_test_of_which_store(
    pytester: pytest.Pytester, store: str, what: str, workers: tuple[str, ...]
) -> None:
    result = run(pytester, store, "-W", "error", *workers)
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert junit_failures(pytester) == 1
    (problem,) = problems(pytester)
    assert problem.startswith(f"some_stores:{store}: RT-2 ({TEST}) failed after the clause was judged: {what}")
    said = [f"RT-2: {what}*", f"*test:*{TEST}", f"*backend:*some_stores:{store}", "*some_stores.py*"]
    result.stdout.fnmatch_lines([*said, "problem: *"])
    assert "_hookexec" not in result.stdout.str()


def test_without_warnings_as_errors_a_leak_fails_nothing(pytester: pytest.Pytester) -> None:
    result = run(pytester, "Leaky")
    assert result.ret == pytest.ExitCode.OK
    assert problems(pytester) == []


def test_a_leak_does_not_hide_the_failure_of_the_clause(pytester: pytest.Pytester) -> None:
    result = run(pytester, "Forgetful", "-W", "error", clause="RT-1")
    assert problems(pytester) == []
    result.stdout.fnmatch_lines(["RT-1 (MUST): *", "some_stores:Forgetful: NOT CONFORMANT*"])


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["serial", "a worker"])
def test_a_leak_at_the_end_of_the_run(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    result = run(pytester, "LeakyHarness", "-W", "error", *workers)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (problem,) = problems(pytester)
    assert problem.startswith("leaked while the stores were destroyed: ValueError: lost in __del__")


def test_equal_leaks_are_one_problem() -> None:
    found = [leaks.Leak("memory", "LC-1", f"test_{number}", f"unclosed <file {number}>") for number in range(3)]
    assert leaks.problems([*found, leaks.Leak("file", "LC-1", "test_0", "unclosed <file 1>")]) == [
        "memory: LC-1 (test_0) and 2 more tests failed after the clause was judged: unclosed <file 0>",
        "file: LC-1 (test_0) failed after the clause was judged: unclosed <file 1>",
    ]


# -- outcomes --------------------------------------------------------------------------------------------------------

RERUN = """
import pytest

def pytest_runtest_protocol(item, nextitem):
    from _pytest.runner import runtestprotocol
    for attempt in (1, 2):
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            if report.failed and attempt == 1:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
    return True

def pytest_report_teststatus(report):
    return ("rerun", "R", "RERUN") if report.outcome == "rerun" else None
"""


def test_the_status_that_another_plugin_gave_is_not_hidden(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(again=RERUN)
    result = run(pytester, "Forgetful", "-p", "again", clause="RT-1")
    counts = result.parseoutcomes()
    assert counts["rerun"] == counts["failed"] > 1
    result.stdout.fnmatch_lines(["some_stores:Forgetful: NOT CONFORMANT (1 failed*"])


WATCHER = """
import pytest
SEEN = []

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        SEEN.append(report.outcome)

def pytest_terminal_summary(terminalreporter):
    terminalreporter.line(f"watched: {sorted(set(SEEN))}")
"""


def test_other_plugins_see_the_outcome_that_was_measured(pytester: pytest.Pytester) -> None:
    """Change outcomes as allure's plugin does, which wrote that failed clauses had passed."""
    pytester.makepyfile(watcher=WATCHER)
    result = run(pytester, "Forgetful", "-p", "watcher", clause="RT-2")
    result.stdout.fnmatch_lines(["watched: ['failed']"])


def test_allure_gets_the_clause_as_a_label(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        allure_like="""
        def pytest_configure(config):
            config.pluginmanager.register(object(), "allure_pytest")
            config.addinivalue_line("markers", "allure_label: a label")

        def pytest_collection_finish(session):
            for item in session.items:
                for mark in item.iter_markers("allure_label"):
                    print("label:", mark.kwargs["label_type"], *mark.args)
        """
    )
    result = run(pytester, "Kept", "-p", "allure_like", "--strict-markers", "-s")
    result.stdout.fnmatch_lines(["*label: tag RT-2 some_stores:Kept"])


# -- threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "module"),
    [
        (
            "gevent",
            "monkey.is_module_patched = lambda name: name == 'threading'\nsys.modules['gevent.monkey'] = monkey",
        ),
        (
            "eventlet",
            "monkey.is_monkey_patched = lambda name: name == 'thread'\nsys.modules['eventlet.patcher'] = monkey",
        ),
    ],
)
def test_threads_that_are_not_real_are_refused_at_start(pytester: pytest.Pytester, library: str, module: str) -> None:
    pytester.makeconftest(f"import sys, types\nmonkey = types.ModuleType('monkey')\n{module}\n")
    result = run(pytester, "Kept")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{library} has replaced Python's threads, and the suite needs real ones*"])


# -- limits and faults -----------------------------------------------------------------------------------------------


def test_pytest_timeout_is_obeyed_and_reported_as_a_timeout(pytester: pytest.Pytester) -> None:
    result = run(pytester, "Slow", "--timeout=6", clause="RT-1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["RT-1 (MUST): not measured: the run's own timeout ended the test: *imeout*"])
    result.stdout.no_fnmatch_line("*Flaky*")


def test_a_failed_should_is_shown_with_its_history(pytester: pytest.Pytester) -> None:
    result = run(pytester, "Open", clause="LC-12")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*SHOULD clauses that failed*", "LC-12 (SHOULD): *", "*should:*", "*history*:", "*reproduce: *"]
    )


def test_a_fault_of_the_harness_names_its_method_and_is_shown_once(pytester: pytest.Pytester) -> None:
    result = run(pytester, "Faulty", clause="HA-1,LC-10,EX-5")
    text = result.stdout.str()
    assert "broke down: stored_fields() raised KeyError: 'no such column'" in text
    assert text.count("Traceback (most recent call last)") == 1, text
    assert "the same fault as in test_mcp_harness.py::" in text
    assert "/measuring/" not in text


def test_the_folder_of_a_report_is_made(pytester: pytest.Pytester) -> None:
    assert run(pytester, "Kept", "--mcp-report=made/below/out.md").ret == pytest.ExitCode.OK
    assert (pytester.path / "made" / "below" / "out.md").exists()
