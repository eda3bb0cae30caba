"""The fixtures for a downstream repository's own tests: they run once for each named backend."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.loop import SuiteLoop
    from pytest_mcp_storage.session.run import Run
    from pytest_mcp_storage.spec.harness import BackendHarness

RUN: pytest.StashKey[Run] = pytest.StashKey()
"""The key of the run in the config's stash."""

ASYNC_METHODS = ("stored_bytes", "stored_fields", "replace_stored_field", "write_row_as")
OPENING_METHODS = ("open", "open_as")


class Borrowed:
    """A backend whose calls run on the suite's loop: any loop can await it, trio's too."""

    def __init__(self, backend: Any, loop: SuiteLoop, by: str = "open()") -> None:
        from pytest_mcp_storage.engine.harness_checks import METHODS, check_backend

        check_backend(backend, by)
        self._backend = backend
        self._loop = loop
        for name in METHODS:  # isinstance(…, StorageBackend) looks for them here, and does not call __getattr__
            setattr(self, name, self.__getattr__(name))

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._backend, name)
        if name.startswith("_") or name == "generate_session_id" or not callable(attribute):
            return attribute

        @functools.wraps(attribute)
        async def call(*args: Any, **options: Any) -> Any:
            return await self._loop.submit(_started(f"{name}()", attribute, *args, **options))

        return call


def borrow(harness: BackendHarness, loop: SuiteLoop) -> None:
    """Let every coroutine of the harness run on the suite's loop, from any loop that awaits it."""
    from pytest_mcp_storage.engine.harness_checks import CONTEXTS

    def elsewhere(name: str, wrap: Callable[[Any], Any]) -> Callable[..., Any]:
        method = getattr(harness, name)

        async def call(*args: Any, **options: Any) -> Any:
            return wrap(await loop.submit(_started(f"{name}()", method, *args, **options)))

        return functools.wraps(method)(call)

    def within(name: str) -> Callable[..., Any]:
        method: Callable[..., AbstractAsyncContextManager[None]] = getattr(harness, name)

        @asynccontextmanager
        async def enter(*args: Any, **options: Any) -> AsyncIterator[None]:
            context = method(*args, **options)
            await loop.submit(_started(f"{name}()", context.__aenter__))
            try:
                yield
            finally:
                await loop.submit(_started(f"{name}()", context.__aexit__, None, None, None))

        return functools.wraps(method)(enter)

    for name in OPENING_METHODS:
        setattr(harness, name, elsewhere(name, functools.partial(Borrowed, loop=loop, by=f"{name}()")))
    for name in ASYNC_METHODS:
        setattr(harness, name, elsewhere(name, lambda value: value))
    for name in CONTEXTS:
        setattr(harness, name, within(name))


async def _started(name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call it on the loop that runs this. Raise ``TypeError`` if the result cannot be awaited."""
    from pytest_mcp_storage.engine.timeouts import awaitable

    return await awaitable(name, call(*args, **options))


@pytest.fixture
def mcp_backend_harness(request: pytest.FixtureRequest) -> Iterator[BackendHarness]:
    """Yield a harness, provisioned with an empty store, for each named backend."""
    run = request.config.stash[RUN]
    harness = run.makers[request.param]()
    run.loop.run(_started("__aenter__()", harness.__aenter__))
    borrow(harness, run.loop)
    try:
        yield harness
    finally:
        run.loop.run(_started("__aexit__()", harness.__aexit__, None, None, None))


@pytest.fixture
def mcp_backend(request: pytest.FixtureRequest, mcp_backend_harness: BackendHarness) -> Iterator[Any]:
    """Yield an opened backend on a separate store, awaitable from any event loop, for each named backend."""
    loop = request.config.stash[RUN].loop
    backend: Any = loop.run(mcp_backend_harness.open())
    try:
        yield backend
    finally:
        loop.run(backend.disconnect())
