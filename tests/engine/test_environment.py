"""The environment: faults of a harness before anything is measured."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Capability
from pytest_mcp_storage.engine import environment as environment_module
from pytest_mcp_storage.engine import loop as loop_module
from pytest_mcp_storage.engine.clock import ObservedTime
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from reference_backends import MemoryStorageBackend


class Harness(BackendHarness):
    def __init__(self) -> None:
        self.events: list[str] = []

    async def __aenter__(self) -> Harness:
        self.events.append("provisioned")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.events.append("destroyed")

    async def open(self, **options: Any) -> Any:
        store = MemoryStorageBackend()
        await store.init()
        return store


def refused(harness: type[Harness], loop: SuiteLoop) -> tuple[Exception, list[str]]:
    """Return what starting raised, and what became of the store."""
    environment = Environment("it", harness, loop)
    with pytest.raises(Exception, match=r".") as caught:
        environment.start()
    assert isinstance(environment.harness, Harness)
    return caught.value, environment.harness.events


def test_a_store_is_provisioned_and_destroyed(loop: SuiteLoop) -> None:
    environment = Environment("it", Harness, loop)
    environment.start()
    assert isinstance(environment.time, ObservedTime)
    environment.stop()
    assert isinstance(environment.harness, Harness)
    assert environment.harness.events == ["provisioned", "destroyed"]


def test_a_store_that_does_not_open_is_destroyed_again(loop: SuiteLoop) -> None:
    class DoesNotOpen(Harness):
        async def open(self, **options: Any) -> Any:
            raise ConnectionError("no server")

    error, events = refused(DoesNotOpen, loop)
    assert str(error) == "no server", "its own error, not one of the destruction"
    assert events == ["provisioned", "destroyed"]


def test_a_store_that_was_never_provisioned_is_not_destroyed(loop: SuiteLoop) -> None:
    class IsNotThere(Harness):
        async def __aenter__(self) -> Harness:
            raise ConnectionError("no server")

    assert refused(IsNotThere, loop)[1] == []


class IgnoresCancellation(MemoryStorageBackend):
    async def disconnect(self) -> None:
        await asyncio.sleep(3600)


@pytest.mark.parametrize(("returned", "hanging"), [(None, "open()"), (IgnoresCancellation(), "disconnect()")])
def test_a_store_that_hangs_at_once_is_given_up(
    loop: SuiteLoop, monkeypatch: pytest.MonkeyPatch, returned: Any, hanging: str
) -> None:
    class Hangs(Harness):
        async def open(self, **options: Any) -> Any:
            return returned or await asyncio.sleep(3600)

    monkeypatch.setattr(environment_module, "LONGEST_OPENING", 0.5)
    error, events = refused(Hangs, loop)
    assert isinstance(error, TimeoutError)
    assert str(error) == f"{hanging} did not return within 0.5 s"
    assert events == ["provisioned", "destroyed"]


def test_a_store_that_blocks_the_loop_at_once_is_given_up(loop: SuiteLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Blocks(Harness):
        async def open(self, **options: Any) -> Any:
            release.wait()

    monkeypatch.setattr(environment_module, "LONGEST_OPENING", 0.01)
    monkeypatch.setattr(environment_module, "LONGEST_END_OF_HUNG", 0.01)
    for module in (environment_module, loop_module):
        monkeypatch.setattr(module, "GRACE", 0.5)
    error, events = refused(Blocks, loop)
    release.set()
    assert isinstance(error, TimeoutError)
    assert events == ["provisioned"]


@pytest.mark.parametrize(
    ("made", "reported"),
    [
        (None, "open() returned None instead of a backend; return the opened backend"),
        (Harness(), "open() returned a Harness, a harness: name its class instead"),
        (object(), "open() returned a object, which is no backend: it lacks init(), generate_session_id(), create"),
    ],
)
def test_what_is_no_backend_is_named(loop: SuiteLoop, made: object, reported: str) -> None:
    class Returns(Harness):
        async def open(self, **options: Any) -> Any:
            return made

    error, events = refused(Returns, loop)
    assert str(error).startswith(reported)
    assert events == ["provisioned", "destroyed"]


def test_capabilities_may_be_narrowed_once_the_store_is_known(loop: SuiteLoop) -> None:
    class Narrows(Harness):
        capabilities = frozenset({Capability.CLOCK, Capability.KEY})

        async def __aenter__(self) -> Harness:
            self.capabilities = frozenset({Capability.KEY})
            return self

    environment = Environment("it", Narrows, loop)
    environment.start()
    assert isinstance(environment.time, ObservedTime), "the clock is no longer the suite's"


@pytest.mark.parametrize(
    ("declared", "reported"),
    [
        ([Capability.KEY], "capabilities must be a frozenset of Capability, not a list"),
        ({"KEY"}, "capabilities holds 'KEY', which is no Capability; write Capability.KEY and the like"),
    ],
)
def test_capabilities_that_are_none_are_refused(loop: SuiteLoop, declared: Any, reported: str) -> None:
    class Declares(Harness):
        async def __aenter__(self) -> Harness:
            self.capabilities = declared
            return await super().__aenter__()

    error, events = refused(Declares, loop)
    assert str(error) == reported
    assert events == ["provisioned", "destroyed"]


class Opens:
    """A harness that takes no notice of ``async def``, in one method after the other."""

    def enter(self) -> Any:
        return self

    def open(self, **options: Any) -> Any:
        return MemoryStorageBackend()

    def exit(self, *exc: object) -> Any: ...


@pytest.mark.parametrize(("name", "method"), [("__aenter__", Opens.enter), ("open", Opens.open)])
def test_a_harness_without_async_is_explained(loop: SuiteLoop, name: str, method: Any) -> None:
    error, _ = refused(type("Sync", (Harness,), {name: method}), loop)
    assert isinstance(error, TypeError)
    assert str(error).startswith(f"{name}() must be written with async def; it returned a ")


def test_a_destruction_without_async_is_explained(loop: SuiteLoop) -> None:
    environment = Environment("it", type("Sync", (Harness,), {"__aexit__": Opens.exit}), loop)
    environment.start()
    with pytest.raises(TypeError, match=r"^__aexit__\(\) must be written with async def; it returned a NoneType$"):
        environment.stop()


def test_an_open_that_its_declarations_do_not_fit_is_refused(loop: SuiteLoop) -> None:
    class NoClock(Harness):
        async def __aenter__(self) -> Harness:
            self.capabilities = frozenset({Capability.CLOCK})
            return await super().__aenter__()

        async def open(self, *, encryption_key: Any = None, default_ttl: Any = None) -> Any:  # type: ignore[override]
            return await super().open()

    error, events = refused(NoClock, loop)
    assert str(error) == "open() must be able to take clock=…: got an unexpected keyword argument 'clock'"
    assert events == ["provisioned", "destroyed"]


def test_a_store_that_hangs_while_it_is_provisioned_is_given_up(
    loop: SuiteLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hangs(Harness):
        async def __aenter__(self) -> Harness:
            await asyncio.sleep(3600)
            return self

    monkeypatch.setattr(environment_module, "LONGEST_PROVISIONING", 0.05)
    error, events = refused(Hangs, loop)
    assert str(error) == "__aenter__() did not return within 0.05 s"
    assert events == []
