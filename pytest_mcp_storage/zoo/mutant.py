"""A mutant: a broken store, with the clauses that must kill it and the reason why a real author writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness


@dataclass(frozen=True)
class Mutant:
    """One store of the zoo. ``clauses``: those that must kill it; ``why``: the mistake that a real author makes."""

    name: str
    clauses: tuple[str, ...]
    why: str
    harness: type[BackendHarness]


def broken(*clauses: str) -> Callable[[type[InMemoryBackend]], type[InMemoryHarness]]:
    """Turn a kind of :class:`InMemoryBackend` that breaks these clauses into the harness that drives it."""

    def make(backend: type[InMemoryBackend]) -> type[InMemoryHarness]:
        about = {"breaks": ", ".join(clauses), "backend": backend, "name": backend.__name__, "__doc__": backend.__doc__}
        return type(backend.__name__, (InMemoryHarness,), {**about, "__module__": backend.__module__})

    return make
