"""From a backend's name to the callable that makes its harness."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Capability
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.session import backends
from pytest_mcp_storage.session.backends import FactoryHarness, described, harness_of, resolve
from pytest_mcp_storage.session.loading import BackendNameError
from reference_backends import MemoryStorageBackend, StorageError

HERE = Path(__file__).parent


class Whole(BackendHarness):
    async def open(self, **options: Any) -> Any: ...


class ByInstance(Whole):
    @property
    def capabilities(self) -> frozenset[Capability]:  # type: ignore[override]
        return frozenset({Capability.OUTAGE})


def declaring(*capabilities: Any, kind: Callable[[Any], Any] = frozenset) -> type[BackendHarness]:
    return type("Declares", (Whole,), {"capabilities": kind(capabilities)})


def refusal(name: str, target: Any = None) -> str:
    with pytest.raises(BackendNameError) as caught:
        resolve(name, HERE) if target is None else harness_of(name, target)
    return str(caught.value)


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_bundled_backend() -> None:
    assert resolve("memory", HERE) is MemoryHarness


@pytest.mark.parametrize("value", ["json:dumps", "json:dumps [extra]"])
def test_a_backend_that_an_installed_package_registers(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    asked = []

    def entry_points(*, group: str) -> EntryPoints:
        asked.append(group)
        return EntryPoints([EntryPoint("theirs", value, group)])

    monkeypatch.setattr(backends, "entry_points", entry_points)
    assert isinstance(resolve("theirs", HERE)(), FactoryHarness)
    assert set(asked) == {"pytest_mcp_storage.backends"}
    assert "theirs" in refusal("their")
    assert "is 'theirs' meant?" in refusal("their")


@pytest.mark.parametrize(
    ("name", "near"), [("sqlit", "; is 'sqlite' meant?"), ("Memory", "; is 'memory' meant?"), ("zzz", "")]
)
def test_an_unknown_name_lists_the_known_ones(name: str, near: str) -> None:
    assert refusal(name).startswith(f"unknown backend {name!r}{near} (known: ")
    for known in ("file", "memory", "redis", "sqlite", "supabase", "module:attribute", "stdio:COMMAND", "mcp-ts:STORE",
                  "key-value:MODULE:FACTORY"):  # fmt: skip
        assert known in refusal(name)


@pytest.mark.parametrize("name", ["stdio:", "stdio:'", "mcp-ts:nonsense"])
def test_a_bridge_that_is_none_takes_one_line(name: str) -> None:
    assert refusal(name).startswith(f"backend {name!r} can't be loaded: ")
    assert "\n" not in refusal(name)


# -- what a name refers to -------------------------------------------------------------------------------------------


def test_a_harness_class_is_its_own_maker() -> None:
    assert harness_of("mine", Whole) is Whole


@pytest.mark.parametrize("target", [Whole(), MemoryStorageBackend(), 7])
def test_what_is_neither_harness_nor_callable_is_refused(target: object) -> None:
    reported = refusal("mine", target)
    assert reported.startswith("mine is neither a BackendHarness subclass nor a callable that returns a backend")
    assert reported.endswith("name the harness's class, not an instance of it") is isinstance(target, BackendHarness)


@pytest.mark.parametrize(
    ("capability", "methods"),
    [
        (Capability.AT_REST, "stored_bytes(), stored_fields(), replace_stored_field()"),
        (Capability.OUTAGE, "outage()"),
        (Capability.LOST_ANSWER, "lost_answer()"),
        (Capability.SETUP, "unprepared()"),
        (Capability.FILES, "files()"),
        (Capability.CRASH, "locator(), attach()"),
        (Capability.ROW_SECURITY, "open_as(), write_row_as()"),
    ],
)
def test_a_declaration_asks_for_its_methods(capability: Capability, methods: str) -> None:
    assert refusal("mine", declaring(capability)) == f"mine: Declares must define {methods}"


def test_a_harness_without_open_is_refused() -> None:
    assert refusal("mine", type("Empty", (BackendHarness,), {})) == "mine: Empty must define open()"


def test_capabilities_that_only_an_instance_has_are_judged_later() -> None:
    assert harness_of("mine", ByInstance) is ByInstance


@pytest.mark.parametrize(
    ("harness", "reported"),
    [
        (declaring("KEY"), "mine: Declares.capabilities holds 'KEY', which is no Capability; write Capability.KEY"),
        (
            declaring(Capability.KEY, kind=list),
            "mine: Declares.capabilities must be a frozenset of Capability, not a list",
        ),
    ],
)
def test_a_declaration_that_would_be_overlooked_is_refused(harness: type[BackendHarness], reported: str) -> None:
    assert refusal("mine", harness).startswith(reported)


# -- a callable that returns a backend -------------------------------------------------------------------------------


def make() -> MemoryStorageBackend:
    return MemoryStorageBackend()


async def make_later() -> MemoryStorageBackend:
    return MemoryStorageBackend()


def nothing() -> None: ...


@pytest.mark.parametrize("factory", [make, make_later, MemoryStorageBackend])
async def test_what_a_callable_returns_is_opened(factory: Callable[[], Any]) -> None:
    harness = harness_of("mine", factory)()
    assert harness.capabilities == frozenset()
    assert not harness.dedicated
    store = await harness.open()
    assert await store.get_all_session_ids() == [], "it is initialised"
    await store.disconnect()
    with pytest.raises(StorageError):
        await store.get_all_session_ids()


@pytest.mark.parametrize(
    ("factory", "reported"),
    [(nothing, r"nothing\(\) returned None instead of a backend"), (Whole, "a harness"), (dict, "lacks init")],
)
async def test_a_callable_that_returns_something_else_is_refused(factory: Callable[[], Any], reported: str) -> None:
    with pytest.raises(TypeError, match=reported):
        await FactoryHarness(factory).open()


# -- what a report says of it ----------------------------------------------------------------------------------------


def test_a_bundled_harness_has_the_suites_version() -> None:
    source, version = described(MemoryHarness())
    assert source == "pytest_mcp_storage.harnesses.memory:MemoryHarness"
    assert version == "0.1.0"


def test_a_callable_is_called_by_its_own_name() -> None:
    assert described(FactoryHarness(make)) == (f"{make.__module__}:make", "unknown")


def test_a_harness_may_say_what_version_it_drives() -> None:
    harness = type("Bridge", (Whole,), {"version": "9.9"})()
    assert described(harness)[1] == "9.9"


def test_the_folder_is_searched_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    resolve("json:dumps", tmp_path)
    assert sys.path[-1] == str(tmp_path)


# -- what a class shows of itself ------------------------------------------------------------------------------------


class NeedsUrl(Whole):
    def __init__(self, url: str) -> None: ...


class Positional(Whole):
    capabilities = frozenset({Capability.CLOCK})

    async def open(self, key: Any = None, default_ttl: Any = None) -> Any: ...  # type: ignore[override]


class Bare(Whole):
    async def outage(self) -> None: ...  # type: ignore[override]


@pytest.mark.parametrize(
    ("harness", "reported"),
    [
        (NeedsUrl, "mine: NeedsUrl is called without arguments: "),
        (Positional, "mine: Positional.open() must be able to take clock=…: "),
        (Bare, "mine: Bare.outage() must be a context manager"),
    ],
)
def test_a_class_that_cannot_work_is_refused(harness: type[BackendHarness], reported: str) -> None:
    assert refusal("mine", harness).startswith(reported)


async def test_a_callable_that_needs_arguments_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^dumps is called without arguments: "):
        await FactoryHarness(json.dumps).open()


async def test_a_method_that_was_not_declared_is_reported_as_missing() -> None:
    with pytest.raises(NotImplementedError, match=r"^Whole has no stored_bytes\(\), nor does it declare AT_REST$"):
        await Whole().stored_bytes()
