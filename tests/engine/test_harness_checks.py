"""Faults of a harness that are refused before anything is measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Capability
from pytest_mcp_storage.engine.harness_checks import (
    check_contexts,
    check_instance,
    check_maker,
    check_open,
    implemented,
    missing_methods,
)


class Whole(BackendHarness):
    async def open(self, **options: Any) -> Any: ...


class KeyAlone(BackendHarness):
    async def open(self, *, encryption_key: Any = None, default_ttl: Any = None) -> Any: ...  # type: ignore[override]


class Neither(BackendHarness):
    async def open(self, key: Any = None, default_ttl: Any = None) -> Any: ...  # type: ignore[override]


class NoTtl(BackendHarness):
    async def open(self) -> Any: ...  # type: ignore[override]


class Positional(BackendHarness):
    async def open(self, key: Any, **options: Any) -> Any: ...  # type: ignore[override]


@pytest.mark.parametrize(
    ("harness", "declared", "reported"),
    [
        (KeyAlone, {Capability.CLOCK, Capability.KEY}, "clock=…: got an unexpected keyword argument 'clock'"),
        (Neither, {Capability.KEY}, "encryption_key=…: got an unexpected keyword argument 'encryption_key'"),
        (NoTtl, {Capability.DEFAULT_TTL}, "default_ttl=…: "),
        (NoTtl, {Capability.CLOCK}, "clock=…: "),
        (Positional, set(), "no arguments: missing a required argument: 'key'"),
    ],
)
def test_an_open_that_does_not_take_what_it_is_given_is_refused(
    harness: type[BackendHarness], declared: set[Capability], reported: str
) -> None:
    with pytest.raises(TypeError) as caught:
        check_open(harness, declared)
    assert str(caught.value).startswith(f"open() must be able to take {reported}")


@pytest.mark.parametrize(
    ("harness", "declared"),
    [(Whole, set(Capability)), (BackendHarness, set(Capability)), (KeyAlone, {Capability.KEY}), (NoTtl, set())],
)
def test_an_open_need_take_no_more_than_it_is_given(harness: type[BackendHarness], declared: set[Capability]) -> None:
    check_open(harness, declared)


def outage_without(kind: str) -> type[BackendHarness]:
    async def coroutine(self: object) -> None: ...

    async def generator(self: object) -> AsyncIterator[None]:
        yield

    return type("Bare", (Whole,), {"outage": {"coroutine": coroutine, "generator": generator}[kind]})


@pytest.mark.parametrize("kind", ["coroutine", "generator"])
def test_a_context_manager_that_lacks_its_decorator_is_refused(kind: str) -> None:
    with pytest.raises(TypeError, match=r"^outage\(\) must be a context manager; write @asynccontextmanager above it"):
        check_contexts(outage_without(kind))


def test_a_context_manager_is_one() -> None:
    class Decorated(Whole):
        @asynccontextmanager
        async def outage(self) -> AsyncIterator[None]:
            yield

    check_contexts(Decorated)


def test_a_method_that_a_base_class_defines_is_defined() -> None:
    base = type("Base", (Whole,), {"outage": lambda self: None})
    assert missing_methods(type("Derived", (base,), {"capabilities": frozenset({Capability.OUTAGE})})) == []


class Cuts(Whole):
    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        yield


class Abstract(Cuts):
    capabilities = frozenset({Capability.CLOCK})


class HalfOfCrash(Whole):
    def locator(self) -> dict[str, Any]:
        return {}


class ByInstance(Cuts):
    @property
    def capabilities(self) -> frozenset[Capability]:  # type: ignore[override]
        return frozenset()


@pytest.mark.parametrize(
    ("harness", "found"),
    [
        (Cuts, [Capability.OUTAGE]),
        (type("Further", (Cuts,), {}), [Capability.OUTAGE]),
        (type("Says", (Cuts,), {"capabilities": frozenset({Capability.OUTAGE})}), []),
        (type("Overrides", (Abstract,), {"outage": Cuts.outage}), [Capability.OUTAGE]),
        (ByInstance, []),
        (Abstract, []),
        (HalfOfCrash, []),
        (Whole, []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_class_implements_and_does_not_declare(harness: type[BackendHarness], found: list[Capability]) -> None:
    assert implemented(harness) == found


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_default_ttl_that_can_not_be_is_refused(seconds: float) -> None:
    harness = Whole()
    harness.default_ttl_seconds = seconds
    with pytest.raises(TypeError, match=r"default_ttl_seconds is .*; set a number of seconds above 0"):
        check_instance(harness)


class NeedsUrl:
    def __init__(self, url: str) -> None: ...


def test_what_needs_arguments_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^NeedsUrl is called without arguments: missing .*'url'; give each a default"):
        check_maker(NeedsUrl)


@pytest.mark.parametrize("make", [Whole, dict, lambda url="": url])
def test_what_can_be_called_without_arguments_is_not_refused(make: Any) -> None:
    check_maker(make)


class Implements(Whole):
    capabilities = frozenset({Capability.FILES})

    def files(self) -> Any: ...
    def outage(self) -> Any: ...
    def locator(self) -> Any: ...


class Narrows(Implements):
    capabilities = frozenset()

    def unprepared(self, how: Any) -> Any: ...
