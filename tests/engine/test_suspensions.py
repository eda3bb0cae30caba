"""A call is cancelled at the requested suspension point, in both ways."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

from pytest_mcp_storage.engine.suspensions import Interrupted

done: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


async def three_steps(gate: asyncio.Future[None] | None = None) -> str:
    for step in ("first", "second", "third"):
        await (gate if gate is not None and step == "second" else asyncio.sleep(0))
        done.append(step)
    return "result"


async def interrupted(at: int, *, answered: bool = False, gate: asyncio.Future[None] | None = None) -> Interrupted[str]:
    """Return the call, after it has ended in a task that was cancelled at ``at``."""
    holder: list[Interrupted[str]] = []

    async def caller() -> None:
        task = asyncio.current_task()
        assert task is not None
        holder.append(Interrupted(three_steps(gate), at, task.cancel, answered=answered))
        done.append(await holder[0])

    task = asyncio.ensure_future(caller())
    if gate is not None:
        asyncio.get_running_loop().call_later(0.01, gate.set_result, None)
    await asyncio.wait([task])
    return holder[0]


async def test_a_call_that_nobody_interrupts_returns_and_is_counted() -> None:
    call = await interrupted(0)
    assert done == ["first", "second", "third", "result"]
    assert (call.suspensions, call.reached, call.waited_again) == (3, False, False)


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_call_is_cancelled_where_it_waits(at: int) -> None:
    call = await interrupted(at)
    assert done == ["first", "second", "third"][: at - 1]
    assert (call.suspensions, call.reached, call.waited_again) == (at, True, False)


async def test_a_point_that_the_call_never_comes_to_changes_nothing() -> None:
    call = await interrupted(4)
    assert done[-1] == "result"
    assert not call.reached


async def test_answered_means_that_what_it_waited_for_has_come() -> None:
    gate = asyncio.get_running_loop().create_future()
    call = await interrupted(2, answered=True, gate=gate)
    assert gate.done()
    assert not gate.cancelled()
    assert done == ["first"]
    assert call.reached


async def test_what_the_call_raises_is_passed_on() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("it")

    with pytest.raises(KeyError):
        await Interrupted(fails())


async def test_a_call_that_swallows_its_cancellation_and_waits_again_is_seen() -> None:
    async def swallows() -> str:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "result"

    async def caller() -> Interrupted[str]:
        task = asyncio.current_task()
        assert task is not None
        call = Interrupted(swallows(), 1, task.cancel)
        assert await call == "result"
        return call

    assert (await asyncio.ensure_future(caller())).waited_again


async def test_what_a_cancelled_call_held_is_freed_at_once() -> None:
    """A cursor that stays alive in a cycle keeps SQLite's lock: the suite may not be what keeps it."""

    class Cursor: ...

    held: list[weakref.ref[Cursor]] = []

    async def call() -> None:
        cursor = Cursor()
        held.append(weakref.ref(cursor))
        await asyncio.sleep(0)

    async def caller() -> None:
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(asyncio.CancelledError):
            await Interrupted(call(), 1, task.cancel)

    gc.disable()
    try:
        await asyncio.ensure_future(caller())
        assert held[0]() is None
    finally:
        gc.enable()
