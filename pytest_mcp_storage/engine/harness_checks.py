"""Checks of a harness before the run: its class once, each instance, and the backends that it returns."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Set
from typing import Any

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from reference_backends import StorageBackend


class UnfitError(TypeError):
    """A harness or a backend that can't be judged. The message says all: no traceback is needed."""


METHODS = tuple(name for name in vars(StorageBackend) if not name.startswith("_"))
"""What every backend has."""
ARGUMENTS = {Capability.KEY: "encryption_key", Capability.CLOCK: "clock", Capability.DEFAULT_TTL: "default_ttl"}
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
"""The methods of a harness that each capability requires."""


def check_class(harness: type[BackendHarness]) -> None:
    """Raise :class:`UnfitError` for a harness class that cannot work, as far as the class itself shows it."""
    check_maker(harness)
    try:
        check_contexts(harness)
        if has_capabilities_of_its_own(harness):
            check_capabilities(harness.capabilities)
            check_open(harness, harness.capabilities)
    except TypeError as error:
        raise UnfitError(f"{harness.__name__}.{error}") from None
    if missing := missing_methods(harness):
        raise UnfitError(f"{harness.__name__} must define {', '.join(missing)}")


def check_instance(harness: BackendHarness) -> None:
    """Raise :class:`UnfitError` for what an instance has chosen for itself; its class was checked before."""
    if not 0 < harness.default_ttl_seconds < math.inf:
        raise UnfitError(f"default_ttl_seconds is {harness.default_ttl_seconds!r}; set a number of seconds above 0")
    if harness.capabilities is not getattr(type(harness), "capabilities", None):
        check_capabilities(harness.capabilities)
        check_open(type(harness), harness.capabilities)


def check_backend(made: object, by: str) -> None:
    """Raise :class:`UnfitError` for an object that is no backend, and name what is missing.

    ``by``: what made it, as in ``open()``.
    """
    lacking = [f"{name}()" for name in METHODS if not callable(getattr(made, name, None))]
    if isinstance(made, BackendHarness):
        raise UnfitError(f"{by} returned a {type(made).__name__}, a harness: name its class instead")
    if made is None:
        raise UnfitError(f"{by} returned None instead of a backend; return the opened backend")
    if lacking:
        raise UnfitError(
            f"{by} returned a {type(made).__name__}, which is no backend: it lacks {', '.join(lacking)} "
            "(help(reference_backends.StorageBackend) describes them)"
        )


def check_capabilities(declared: object) -> None:
    """Raise :class:`UnfitError` for anything but a set of :class:`Capability`; a plain name would not count."""
    if not isinstance(declared, Set):
        raise UnfitError(f"capabilities must be a frozenset of Capability, not a {type(declared).__name__}")
    for each in declared:
        if not isinstance(each, Capability):
            raise UnfitError(f"capabilities holds {each!r}, which is no Capability; write Capability.KEY and the like")


def check_maker(make: Callable[..., Any]) -> None:
    """Raise :class:`UnfitError` for a class or function that needs arguments: the suite passes none."""
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # a function written in C may have no signature
        return
    try:
        signature.bind()
    except TypeError as error:
        name = getattr(make, "__name__", "the callable")
        raise UnfitError(f"{name} is called without arguments: {error}; give each a default value") from None


def check_open(harness: type[BackendHarness], declared: Set[Capability]) -> None:
    """Raise :class:`UnfitError` if ``open()`` does not take what the suite passes: the store would be blamed for it."""
    if not inspect.isfunction(inspect.getattr_static(harness, "open")):
        return
    signature = inspect.signature(harness.open)
    passed = [argument for capability, argument in ARGUMENTS.items() if capability in declared]
    for argument in ("", *passed):
        try:
            signature.bind(harness, **({argument: None} if argument else {}))
        except TypeError as error:
            given = f"{argument}=…" if argument else "no arguments"
            raise UnfitError(f"open() must be able to take {given}: {error}") from None


def check_contexts(harness: type[BackendHarness]) -> None:
    """Raise :class:`UnfitError` for a method without the decorator that makes it a context manager."""
    for name in CONTEXTS:
        method = inspect.getattr_static(harness, name)
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            raise UnfitError(f"{name}() must be a context manager; write @asynccontextmanager above it, and yield once")


def missing_methods(harness: type[BackendHarness]) -> list[str]:
    """Yield the methods that a harness class must define for its capabilities, and does not: ``outage()``."""
    declared = harness.capabilities if has_capabilities_of_its_own(harness) else frozenset()
    names = ["open", *(name for capability, each in OF_CAPABILITY.items() if capability in declared for name in each)]
    inherited = vars(BackendHarness)
    return [f"{name}()" for name in names if inspect.getattr_static(harness, name) is inherited[name]]


def implemented(harness: type[BackendHarness]) -> list[Capability]:
    """Return the capabilities whose methods the class defines and does not declare.

    At least one of the methods must be defined by the class that holds ``capabilities``, or by a subclass of it: a
    base class may define more than each of its subclasses declares.
    """
    bases = harness.__mro__[: harness.__mro__.index(BackendHarness)]
    last = next((place for place, base in enumerate(bases) if "capabilities" in vars(base)), len(bases))
    inherited, own = vars(BackendHarness), bases[: last + 1]
    return [
        capability
        for capability, names in OF_CAPABILITY.items()
        if all(inspect.getattr_static(harness, name) is not inherited[name] for name in names)
        and any(name in vars(base) for base in own for name in names)
        and not (has_capabilities_of_its_own(harness) and capability in harness.capabilities)
    ]


def has_capabilities_of_its_own(harness: type[BackendHarness]) -> bool:
    """Say whether the class itself holds its capabilities; a property sets them for each instance."""
    return not hasattr(inspect.getattr_static(harness, "capabilities"), "__get__")
