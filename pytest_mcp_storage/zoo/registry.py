"""The zoo's register: every mutant with its clauses and its reason, and the conforming stores."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.zoo.mutant import Mutant

MODULES: dict[str, tuple[str, ...]] = {
    "RT": ("round_trip", "decoding", "sharing", "constants", "revivers", "sizes", "moments"),
    "LC": ("life_cycle", "updates", "refusals", "caches", "reopening"),
    "ID": ("identity", "names", "bare_names"),
    "EX": ("expiry", "evictions", "lifetimes", "renewals", "defaults", "joined", "indexes", "sequences"),
    "EN": ("secrets", "remnants", "disclosures", "envelopes", "encryption", "trust", "unreadable", "touching"),
    "MX": ("mixed",),
    "DU": ("durability",),
    "CO": ("concurrency", "company", "contention"),
    "CA": ("cancellation", "cancelled_callers"),
    "FA": ("failure", "outages", "interrupted", "steps"),
    "RE": ("resources",),
    "RS": ("row_security",),
    "HA": ("declarations",),
}
"""Clause group -> the modules of ``zoo/mutants`` whose stores mostly break its clauses."""


@cache
def all_mutants() -> tuple[Mutant, ...]:
    """Return every broken store, group by group."""
    names = [name for group in MODULES.values() for name in group]
    modules = [import_module(f"pytest_mcp_storage.zoo.mutants.{name}") for name in names]
    return tuple(mutant for module in modules for mutant in _in(module) if mutant.clauses)


@cache
def conforming_stores() -> tuple[Mutant, ...]:
    """Return the correct stores that look unusual; no clause may fail them."""
    from pytest_mcp_storage.zoo import conforming

    return tuple(_in(conforming))


def _in(module: ModuleType) -> list[Mutant]:
    return [
        Mutant(each.__name__, _clauses(each), " ".join((each.__doc__ or "").split()), each)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, BackendHarness) and each.__module__ == module.__name__
    ]


def _clauses(harness: type[BackendHarness]) -> tuple[str, ...]:
    return tuple(str(getattr(harness, "breaks", "")).replace(",", " ").split())
