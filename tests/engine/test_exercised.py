"""How much of a store's own code a run has exercised: what is followed, what is counted, and what is reported."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.engine.exercised import BranchMeter, Ran, exercised
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.timeouts import in_time
from pytest_mcp_storage.report.model import Report

pytest_plugins = ["pytester"]

CODE = '''
def halve(number):
    """Return the half of an even number."""
    if number % 2:
        number -= 1
        number -= 0
    return number // 2


def never():
    return 1
'''
STORE = """
import asyncio
from helper import checked
from reference_backends import MemoryStorageBackend

class Store(MemoryStorageBackend):
    async def get_session(self, identity, session_id):
        if session_id == "a name that nobody draws":
            return None
        await asyncio.to_thread(checked, identity)
        return await super().get_session(identity, session_id)
"""
HELPER = """
def checked(identity):
    if identity == "another name that nobody draws":
        return ""
    return identity
"""


def loaded(folder: Path, code: str = CODE) -> tuple[Path, dict[str, Any]]:
    """Return a new file with this code, and what the code defines."""
    file = folder / "halves.py"
    file.write_text(code)
    names: dict[str, Any] = {}
    exec(compile(code, str(file), "exec"), names)
    return file, names


def measured(loop: SuiteLoop, folder: Path, numbers: list[int]) -> dict[str, Ran]:
    file, names = loaded(folder)
    meter = BranchMeter([file], loop)

    async def work() -> None:
        for number in numbers:
            await asyncio.sleep(0)
            names["halve"](number)

    with meter.following():
        loop.run(in_time("work", work, limit=60))
    return meter.arcs()


def test_each_side_of_a_condition_and_each_function_is_a_branch(loop: SuiteLoop, tmp_path: Path) -> None:
    found = exercised([measured(loop, tmp_path, [2])])
    assert (found.branches, found.seen) == (4, 2)
    assert [(each.first, each.last, each.source) for each in found.missed] == [
        (5, 6, "if number % 2"),
        (11, 11, "never called"),
    ]
    assert found.words == "saw 50 % of 4 branches"


def test_what_several_processes_saw_counts_together(loop: SuiteLoop, tmp_path: Path) -> None:
    parts = [json.loads(json.dumps(measured(loop, tmp_path, [number]))) for number in (2, 3)]
    assert [(exercised([each]).seen, exercised([each]).branches) for each in parts] == [(2, 4), (2, 4)]
    assert exercised(parts).seen == 3


@pytest.mark.parametrize("way", ["a task", "a timer", "a callback", "a thread", "a callback of a thread"])
def test_what_a_call_starts_is_followed(loop: SuiteLoop, tmp_path: Path, way: str) -> None:
    file, names = loaded(tmp_path)
    run = names["never"]

    async def task() -> None:
        await asyncio.sleep(0)
        run()

    async def work() -> None:
        running = asyncio.get_running_loop()
        match way:
            case "a task":
                await asyncio.create_task(task())
            case "a timer":
                running.call_later(0.001, run)
                await asyncio.sleep(0.01)
            case "a callback":
                asyncio.create_task(asyncio.sleep(0)).add_done_callback(lambda _: running.call_soon(run))
                await asyncio.sleep(0.01)
            case "a thread":
                await asyncio.to_thread(run)
            case "a callback of a thread":
                await asyncio.to_thread(running.call_soon_threadsafe, run)
                await asyncio.sleep(0.01)

    meter = BranchMeter([file], loop)
    with meter.following():
        loop.run(in_time("work", work, limit=60))
    assert [each.first for each in exercised([meter.arcs()]).missed] == [4], "halve alone was not called"


def test_every_other_example_is_followed_at_first_and_then_fewer(loop: SuiteLoop, tmp_path: Path) -> None:
    lines = "\n".join(f"    if number == {number}:\n        return" for number in range(1, 18))
    file, names = loaded(tmp_path, f"def act(number):\n{lines}\n")

    async def work(number: int) -> None:
        names["act"](number)

    meter = BranchMeter([file], loop)
    with meter.following():
        for number in range(1, 18):
            meter.begin(number)
            loop.run(in_time("work", work, number, limit=60))
    returns = {first // 2 for first, last in meter.arcs()[str(file)]["jumps"] if first % 2 and last < 0}
    assert returns == {1, 2, 4, 8, 16}


def test_an_example_may_begin_on_the_suite_loop(loop: SuiteLoop, tmp_path: Path) -> None:
    file, names = loaded(tmp_path)
    meter = BranchMeter([file], loop)

    async def halve(number: int) -> None:
        names["halve"](number)

    async def test() -> None:
        for begun, number in ((3, 3), (4, 2)):
            meter.begin(begun)
            await in_time("halve", halve, number, limit=60)

    with meter.following():
        loop.run(test())
    assert [each.source for each in exercised([meter.arcs()]).missed] == ["if number % 2", "never called"]


def test_nothing_followed_is_nothing_claimed() -> None:
    assert exercised([]).words == ""


@pytest.mark.parametrize("more", [(), ("-n2", "-pxdist")])
def test_a_run_reports_what_it_did_not_exercise(pytester: pytest.Pytester, more: tuple[str, ...]) -> None:
    pytester.makepyfile(mystore=STORE, helper=HELPER)
    command = ("--mcp-backend=mystore:Store", "--mcp-tier=smoke", "--mcp-clause=RT-1,LC-2", "--mcp-report=r.json")
    run = pytester.runpytest_subprocess(*command, *more, "-pno:randomly")
    (backend,) = Report.load(pytester.path / "r.json").backends
    assert {(each.file, each.source) for each in backend.exercised.missed} == {
        ("mystore.py", 'if session_id == "a name that nobody draws"'),
        ("helper.py", 'if identity == "another name that nobody draws"'),
    }
    assert f"saw {100 * backend.exercised.seen // backend.exercised.branches} % of" in run.stdout.str()
    run.stdout.fnmatch_lines(["*not exercised: 2 branches of the store's code", "*helper.py:3 (if identity == *"])


def test_it_can_be_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(mystore=STORE, helper=HELPER)
    command = ("--mcp-backend=mystore:Store", "--mcp-tier=smoke", "--mcp-clause=LC-2", "--mcp-no-coverage")
    run = pytester.runpytest_subprocess(*command, "-pno:randomly")
    assert "branches" not in run.stdout.str()


def test_no_database_of_coverage_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 warns of one, and a run that turns warnings into errors would fail."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remembered(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", remembered)
    file = tmp_path / "store.py"
    file.write_text("def one(x):\n    if x:\n        return 1\n    return 2\n")
    exercised([{str(file): {"jumps": [(-1, 2), (2, 3), (3, -1)], "harness": []}}])
    assert opened
    for each in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            each.execute("select 1")
