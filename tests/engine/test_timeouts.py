"""A store that hangs times out soon."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, load_clauses
from pytest_mcp_storage.engine import context as context_module
from pytest_mcp_storage.engine import environment as environment_module
from pytest_mcp_storage.engine import executor as executor_module
from pytest_mcp_storage.engine import loop as loop_module
from pytest_mcp_storage.engine import measure as measure_module
from pytest_mcp_storage.engine import recording as recording_module
from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.measure import measure
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.engine.timeouts import awaitable, in_time
from pytest_mcp_storage.spec.outcome import Measurement, Outcome
from reference_backends import MemoryStorageBackend

CLAUSE = next(each for each in load_clauses() if each.id == "RT-1")


class Store(MemoryStorageBackend):
    """Behave in ``init`` as the store's argument says."""

    def __init__(self, hangs: Callable[[], Any]) -> None:
        super().__init__()
        self._hangs = hangs

    async def init(self) -> None:
        await self._hangs()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Any]], Environment]]:
    """Return a maker of environments whose store hangs in ``init`` in the named way, with short timeouts."""
    for module in (recording_module, context_module, executor_module):
        monkeypatch.setattr(module, "LONGEST_CALL", 0.05)
    for module in (environment_module, recording_module, loop_module, measure_module):
        monkeypatch.setattr(module, "GRACE", 0.05)
    monkeypatch.setattr(loop_module, "PULSE", 0.01)
    monkeypatch.setattr(environment_module, "LONGEST_END_OF_HUNG", 0.05)
    loop = SuiteLoop()

    def made(hangs: Callable[[], Any]) -> Environment:
        class Harness(BackendHarness):
            async def open(self, **options: Any) -> Any:
                return Store(hangs)

        environment = Environment("it", Harness, loop)
        environment.start()
        return environment

    yield made
    loop.close()


@clause_test("RT-1")
async def calls(context: TestContext) -> None:
    await (await context.store()).init()


def measured(body: Any, environment: Environment) -> Measurement:
    return measure(body.__clause_test__, CLAUSE, environment, TIERS["smoke"], 0, destructive=True)


Make = Callable[[Callable[[], Any]], Environment]


def test_a_store_that_blocks_the_loop_is_given_up(environment: Make) -> None:
    release = threading.Event()

    async def blocks() -> None:
        release.wait()

    used = environment(blocks)
    try:
        seen = measured(calls, used)
        assert (seen.outcome, seen.should) == (Outcome.FAILED, "return")
        assert seen.message == "init did not return within 0.05 s, and blocks the event loop"
        assert seen.history == ["store.init()  →  did not return"]
        assert used.hung
        with pytest.raises(TimeoutError):
            used.stop()
    finally:
        release.set()


def test_a_call_that_ignores_its_cancellation_is_given_up(environment: Make) -> None:
    release = threading.Event()

    async def ignores_cancellation() -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    used = environment(ignores_cancellation)
    seen = measured(calls, used)
    release.set()
    assert seen.message == "init did not return within 0.05 s, and ignores its cancellation"
    assert used.hung


def test_the_second_call_that_does_not_return_is_the_last(environment: Make) -> None:
    waits = True

    async def hangs() -> None:
        if waits:
            await asyncio.sleep(3600)

    @clause_test("RT-1")
    async def body(context: TestContext) -> None:
        nonlocal waits
        waits = True
        try:
            await (await context.store()).init()
        finally:
            waits = False  # and so the clean-up works

    used = environment(hangs)
    assert measured(body, used).message == "init did not return within 0.05 s"
    assert not used.hung
    assert measured(body, used).outcome is Outcome.FAILED
    assert used.hung
    used.stop()


def test_an_opening_that_does_not_return_is_one_too(environment: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(**options: Any) -> None:
        await asyncio.sleep(3600)

    used = environment(MemoryStorageBackend().init)
    monkeypatch.setattr(used.harness, "open", never)
    seen = [measured(calls, used).message for _ in range(2)]
    assert seen == ["open did not return within 0.05 s"] * 2
    assert used.hung


def test_an_interrupt_does_not_wait(environment: Make) -> None:
    release = threading.Event()

    async def blocks() -> None:
        release.wait()

    @clause_test("RT-1")
    def interrupted(context: TestContext) -> None:
        with pytest.raises(TimeoutError):
            context.environment.loop.run(blocks(), limit=0.01)
        raise KeyboardInterrupt

    used = environment(MemoryStorageBackend().init)
    try:
        with pytest.raises(KeyboardInterrupt):
            measured(interrupted, used)
        assert used.hung
    finally:
        release.set()


async def test_what_a_call_makes_of_its_end_does_not_hide_that_it_is_late() -> None:
    async def turns_it() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise ConnectionError("the driver's own words") from None

    with pytest.raises(TimeoutError, match=r"it did not return within 0\.01 s"):
        await in_time("it", turns_it, limit=0.01)


def test_what_is_no_coroutine_is_explained() -> None:
    with pytest.raises(TypeError, match=r"^open\(\) must be written with async def; it returned a dict$"):
        awaitable("open()", {})  # type: ignore[arg-type]
