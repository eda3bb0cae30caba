"""Whether what a harness declares, and what it or a factory hands out, is what the suite can work with."""

from __future__ import annotations

from collections.abc import Set

from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.harness import BackendHarness
from reference_backends import StorageBackend

METHODS = tuple(name for name in vars(StorageBackend) if not name.startswith("_"))
"""What every backend has."""


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
