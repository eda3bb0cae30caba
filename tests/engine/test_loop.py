"""The suite's own loop: no store ends it, and every wait has a limit."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest

from pytest_mcp_storage.engine import loop as loop_module
from pytest_mcp_storage.engine.loop import SuiteLoop


async def answer() -> int:
    return 42


def test_it_gives_the_result(loop: SuiteLoop) -> None:
    assert loop.run(answer()) == 42


def test_it_can_be_awaited_from_another_loop(loop: SuiteLoop) -> None:
    assert asyncio.run(loop.submit(answer())) == 42


@pytest.mark.parametrize(
    "end",
    [SystemExit("bye"), KeyboardInterrupt("stop"), pytest.skip.Exception("no server")],
)
def test_what_would_end_the_process_or_skip_the_test_is_an_error(loop: SuiteLoop, end: BaseException) -> None:
    async def ends() -> None:
        raise end

    with pytest.raises(RuntimeError, match=type(end).__name__) as caught:
        loop.run(ends())
    assert caught.value.__cause__ is end
    assert loop.run(answer()) == 42, "and the loop lives on"


def test_an_error_is_passed_on_as_it_is(loop: SuiteLoop) -> None:
    async def fails() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        loop.run(fails())


def test_nothing_is_waited_for_longer_than_its_limit(loop: SuiteLoop) -> None:
    with pytest.raises(TimeoutError, match="no result within"):
        loop.run(asyncio.sleep(3600), limit=0.01)
    assert loop.run(answer()) == 42


def test_a_blocked_loop_is_given_up() -> None:
    release = threading.Event()

    async def blocks() -> None:
        release.wait()

    loop = SuiteLoop()
    try:
        with pytest.raises(TimeoutError, match="no result within"):
            loop.run(blocks(), limit=0.01)
    finally:
        release.set()
        loop.close()


def test_closing_ends_what_still_runs() -> None:
    loop = SuiteLoop()
    ended = threading.Event()

    async def works() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def begins() -> asyncio.Task[None]:
        task = asyncio.create_task(works())
        await asyncio.sleep(0)
        return task

    loop.run(begins())
    loop.close()
    assert ended.is_set()


def test_who_waits_may_look_meanwhile_and_give_up(loop: SuiteLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> None:
        raise LookupError("enough")

    monkeypatch.setattr(loop_module, "PULSE", 0.01)
    with pytest.raises(LookupError, match="enough"):
        loop.run(asyncio.sleep(3600), look=look)
    assert loop.run(answer()) == 42


def test_a_blocked_loop_does_not_answer(loop: SuiteLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    async def blocks() -> None:
        release.wait()

    monkeypatch.setattr(loop_module, "GRACE", 0.01)
    with pytest.raises(TimeoutError):
        loop.run(blocks(), limit=0.01)
    assert not loop.answers()
    release.set()
    assert loop.run(answer()) == 42
    monkeypatch.undo()
    assert loop.answers()


def test_it_can_be_awaited_from_trio(loop: SuiteLoop) -> None:
    trio = pytest.importorskip("trio")
    assert trio.run(loop.submit, answer()) == 42


def test_what_trio_cancels_is_cancelled(loop: SuiteLoop) -> None:
    trio = pytest.importorskip("trio")
    ended = threading.Event()

    async def works() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def gives_up() -> None:
        with trio.move_on_after(0.05):
            await loop.submit(works())

    trio.run(gives_up)
    assert ended.wait(10)


def test_what_a_blocked_loop_never_began_leaves_no_warning(loop: SuiteLoop) -> None:
    release = threading.Event()

    async def blocks() -> None:
        release.wait()

    for work in (blocks(), second := answer()):
        with pytest.raises(TimeoutError):
            loop.run(work, limit=0.01)
    release.set()
    assert inspect.getcoroutinestate(second) == inspect.CORO_CLOSED
