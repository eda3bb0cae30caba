"""The fixtures for a downstream repository's own tests."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.session.fixtures import Borrowed, borrow
from reference_backends import MemoryStorageBackend, StorageBackend


@pytest.fixture
def loop() -> Iterator[SuiteLoop]:
    made = SuiteLoop()
    yield made
    made.close()


class Store(MemoryStorageBackend):
    label = "a label"

    async def where(self) -> str:
        """Return the thread that this runs on."""
        return threading.current_thread().name


class Harness(BackendHarness):
    def __init__(self) -> None:
        self.events: list[str] = []

    async def open(self, **options: Any) -> Any:
        self.events.append(threading.current_thread().name)
        return Store()

    async def stored_bytes(self) -> bytes:
        return threading.current_thread().name.encode()

    @asynccontextmanager
    async def _outage(self) -> AsyncIterator[None]:
        self.events.append(f"cut on {threading.current_thread().name}")
        try:
            yield
        finally:
            self.events.append(f"back on {threading.current_thread().name}")

    def outage(self) -> Any:
        return self._outage()


class Hasty(Store):
    def init(self) -> None: ...  # type: ignore[override]


class Careless(Harness):
    made: Any = None

    async def open(self, **options: Any) -> Any:
        return self.made

    def stored_bytes(self) -> bytes:  # type: ignore[override]
        return b""


SUITE = "mcp-storage-suite"


def test_a_borrowed_backend_is_a_backend(loop: SuiteLoop) -> None:
    borrowed = Borrowed(Store(), loop)
    assert isinstance(borrowed, StorageBackend)
    for name in ("get_session", "generate_session_id"):  # newer Pythons look for a protocol's methods past __getattr__
        assert callable(inspect.getattr_static(borrowed, name))


def test_its_calls_run_on_the_suites_loop_from_any_other(loop: SuiteLoop) -> None:
    borrowed = Borrowed(Store(), loop)
    assert asyncio.run(borrowed.where()) == SUITE
    assert borrowed.label == "a label"
    assert borrowed.generate_session_id().isalnum()
    with pytest.raises(AttributeError):
        _ = borrowed.nothing


def test_a_borrowed_harness_works_on_the_suites_loop(loop: SuiteLoop) -> None:
    harness = Harness()
    borrow(harness, loop)

    async def use() -> None:
        borrowed: Any = await harness.open()
        assert await borrowed.where() == SUITE
        assert await harness.stored_bytes() == SUITE.encode()
        with pytest.raises(LookupError):
            async with harness.outage():
                raise LookupError("the test's own")

    asyncio.run(use())
    assert harness.events == [SUITE, f"cut on {SUITE}", f"back on {SUITE}"]


@pytest.mark.parametrize(
    ("made", "reported"),
    [
        (None, "returned None instead of a backend"),
        (object(), "returned a object, which is no backend"),
    ],
)
def test_what_is_no_backend_is_not_lent(loop: SuiteLoop, made: Any, reported: str) -> None:
    harness = Careless()
    harness.made = made
    borrow(harness, loop)
    with pytest.raises(TypeError, match=rf"^open\(\) {reported}"):
        asyncio.run(harness.open())


def test_a_method_without_async_is_explained(loop: SuiteLoop) -> None:
    harness = Careless()
    borrow(harness, loop)
    with pytest.raises(TypeError, match=r"^stored_bytes\(\) must be written with async def; it returned a bytes$"):
        asyncio.run(harness.stored_bytes())
    with pytest.raises(TypeError, match=r"^init\(\) must be written with async def; it returned a NoneType$"):
        asyncio.run(Borrowed(Hasty(), loop).init())
