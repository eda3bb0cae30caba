"""The register of the zoo: every broken store with its clauses and its reason, and the conforming stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness

MODULES: tuple[str, ...] = (
    "round_trip",
    "decoding",
    "sharing",
    "life_cycle",
    "updates",
    "refusals",
    "identity",
    "names",
    "joined",
    "indexes",
    "caches",
    "expiry",
    "evictions",
    "lifetimes",
    "renewals",
    "defaults",
    "secrets",
    "remnants",
    "telling",
    "envelopes",
    "encryption",
    "trust",
    "unreadable",
    "mixed",
    "durability",
    "concurrency",
    "failure",
    "outages",
    "row_security",
    "declarations",
    "constants",
    "contention",
    "interrupted",
    "bare_names",
    "revivers",
    "sizes",
    "reopening",
    "touching",
    "moments",
)
"""The modules of the broken stores, in the contract's order; last those of faults that occur where two clauses meet."""

CONFORMING = "conforming"
"""The module of correct but unusual stores."""


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


@cache
def all_mutants() -> tuple[Mutant, ...]:
    """Return every broken store, module by module."""
    return tuple(mutant for module_name in MODULES for mutant in _in(f"mutants.{module_name}") if mutant.clauses)


@cache
def conforming_stores() -> tuple[Mutant, ...]:
    """Return the correct stores that look unusual; no clause may fail them."""
    return tuple(_in(CONFORMING))


def _in(module_name: str) -> list[Mutant]:
    module = import_module(f"pytest_mcp_storage.zoo.{module_name}")
    return [
        Mutant(each.__name__, _clauses(each), " ".join((each.__doc__ or "").split()), each)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, BackendHarness) and each.__module__ == module.__name__
    ]


def _clauses(harness: type[BackendHarness]) -> tuple[str, ...]:
    return tuple(str(getattr(harness, "breaks", "")).replace(",", " ").split())
