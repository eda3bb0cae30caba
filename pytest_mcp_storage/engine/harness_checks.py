"""Checks of a harness before the run: its class once, each instance for itself, and the backends that it returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Set
from typing import Any

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from reference_backends import StorageBackend

METHODS = tuple(name for name in vars(StorageBackend) if not name.startswith("_"))
"""What every backend has."""
BROUGHT = {Capability.KEY: "encryption_key", Capability.CLOCK: "clock"}
"""The argument of ``open`` that each of them brings."""
CONTEXTS = ("outage", "lost_answer", "unprepared")
"""The methods of a harness that are context managers."""
OF_CAPABILITY = {
    Capability.AT_REST: ("stored_bytes", "stored_fields", "replace_stored_field"),
    Capability.OUTAGE: ("outage",),
    Capability.LOST_ANSWER: ("lost_answer",),
    Capability.FAIL_STEP: ("fail_request",),
    Capability.SETUP: ("unprepared",),
    Capability.FILES: ("files",),
    Capability.CRASH: ("locator", "attach"),
    Capability.ROW_SECURITY: ("open_as", "write_row_as"),
}
"""The methods of a harness that each of them asks for."""


def check_class(harness: type[BackendHarness]) -> None:
    """Raise ``TypeError`` for a harness class that can't work, as far as the class itself shows it."""
    check_maker(harness)
    try:
        check_contexts(harness)
        if has_capabilities_of_its_own(harness):
            check_capabilities(harness.capabilities)
            check_open(harness, harness.capabilities)
    except TypeError as error:
        raise TypeError(f"{harness.__name__}.{error}") from None
    if missing := missing_methods(harness):
        raise TypeError(f"{harness.__name__} must define {', '.join(missing)}")


def check_instance(harness: BackendHarness) -> None:
    """Raise ``TypeError`` for capabilities that the harness has chosen for itself; the class's are checked before."""
    if harness.capabilities is not getattr(type(harness), "capabilities", None):
        check_capabilities(harness.capabilities)
        check_open(type(harness), harness.capabilities)


def check_backend(made: object, by: str) -> None:
    """Raises ``TypeError``, which names what is missing. ``by``: what made it, as in ``open()``."""
    lacking = [f"{name}()" for name in METHODS if not callable(getattr(made, name, None))]
    if isinstance(made, BackendHarness):
        raise TypeError(f"{by} returned a {type(made).__name__}, a harness: name its class instead")
    if made is None:
        raise TypeError(f"{by} returned None in place of a backend")
    if lacking:
        raise TypeError(f"{by} returned a {type(made).__name__}, which is no backend: it lacks {', '.join(lacking)}")


def check_capabilities(declared: object) -> None:
    """Raises ``TypeError`` for anything but a set of :class:`Capability`: a name in it would count as undeclared."""
    if not isinstance(declared, Set):
        raise TypeError(f"capabilities must be a frozenset of Capability, not a {type(declared).__name__}")
    for each in declared:
        if not isinstance(each, Capability):
            raise TypeError(f"capabilities holds {each!r}, which is no Capability; write Capability.KEY and the like")


def check_maker(make: Callable[..., Any]) -> None:
    """Raises ``TypeError`` for a class or function that can't be called without arguments, as the suite calls it."""
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # one that is written in C need not tell
        return
    try:
        signature.bind()
    except TypeError as error:
        name = getattr(make, "__name__", "the callable")
        raise TypeError(f"{name} is called without arguments: {error}; give each a default value") from None


def check_open(harness: type[BackendHarness], declared: Set[Capability]) -> None:
    """Raises ``TypeError`` where ``open()`` does not take what it will be given: the store would be blamed for it."""
    if not inspect.isfunction(inspect.getattr_static(harness, "open")):
        return
    signature = inspect.signature(harness.open)
    brought = [argument for capability, argument in BROUGHT.items() if capability in declared]
    for argument in ("", *brought, "default_ttl"):
        try:
            signature.bind(harness, **({argument: None} if argument else {}))
        except TypeError as error:
            given = f"{argument}=…" if argument else "no arguments"
            raise TypeError(f"open() must be able to take {given}: {error}") from None


def check_contexts(harness: type[BackendHarness]) -> None:
    """Raises ``TypeError`` for a method that lacks the decorator which makes a context manager of it."""
    for name in CONTEXTS:
        method = inspect.getattr_static(harness, name)
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            raise TypeError(f"{name}() must be a context manager; write @asynccontextmanager above it, and yield once")


def missing_methods(harness: type[BackendHarness]) -> list[str]:
    """The methods that a harness class must define, by its own declarations, and does not: ``outage()``."""
    declared = harness.capabilities if has_capabilities_of_its_own(harness) else frozenset()
    names = ["open", *(name for capability, each in OF_CAPABILITY.items() if capability in declared for name in each)]
    inherited = vars(BackendHarness)
    return [f"{name}()" for name in names if inspect.getattr_static(harness, name) is inherited[name]]


def has_capabilities_of_its_own(harness: type[BackendHarness]) -> bool:
    """Whether the class itself holds its capabilities; a property gives each instance its own."""
    return not hasattr(inspect.getattr_static(harness, "capabilities"), "__get__")
