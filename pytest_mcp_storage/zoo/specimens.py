"""The zoo's register: every broken store with its clause and its reason, and the odd ones that are sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from pytest_mcp_storage.harness import BackendHarness
from pytest_mcp_storage.zoo.shelf import ShelfBackend, ShelfHarness

HOUSES: tuple[str, ...] = (
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
    "company",
    "cancellation",
    "cancelled_callers",
    "failure",
    "outages",
    "resources",
    "row_security",
    "declarations",
)
"""The modules in which broken stores live, in the contract's order."""

SOUND_HOUSE = "sound"
"""The module of correct but unusual stores."""


@dataclass(frozen=True)
class Specimen:
    """One store of the zoo. ``clauses``: those that must catch it; ``why``: what makes a real author write it so."""

    name: str
    clauses: tuple[str, ...]
    why: str
    harness: type[BackendHarness]


def broken(*clauses: str) -> Callable[[type[ShelfBackend]], type[ShelfHarness]]:
    """Turn a kind of :class:`ShelfBackend` that breaks these clauses into the harness that drives it."""

    def make(backend: type[ShelfBackend]) -> type[ShelfHarness]:
        about = {"breaks": ", ".join(clauses), "backend": backend, "name": backend.__name__, "__doc__": backend.__doc__}
        return type(backend.__name__, (ShelfHarness,), {**about, "__module__": backend.__module__})

    return make


@cache
def defects() -> tuple[Specimen, ...]:
    """Every broken store, house by house."""
    return tuple(specimen for house in HOUSES for specimen in _in(house) if specimen.clauses)


@cache
def sound() -> tuple[Specimen, ...]:
    """Correct stores that look odd; no clause may fail them."""
    return tuple(_in(SOUND_HOUSE))


def _in(house: str) -> list[Specimen]:
    module = import_module(f"pytest_mcp_storage.zoo.houses.{house}")
    return [
        Specimen(each.__name__, _clauses(each), " ".join((each.__doc__ or "").split()), each)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, BackendHarness) and each.__module__ == module.__name__
    ]


def _clauses(harness: type[BackendHarness]) -> tuple[str, ...]:
    return tuple(str(getattr(harness, "breaks", "")).replace(",", " ").split())
