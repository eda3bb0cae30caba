"""The zoo's register: what CI counts on."""

from __future__ import annotations

import pkgutil
from collections import Counter

import pytest

from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.zoo import mutants
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.registry import MODULES, all_mutants, conforming_stores

EVERYONE = (*all_mutants(), *conforming_stores())


def test_no_two_mutants_share_a_name() -> None:
    assert [name for name, times in Counter(each.name for each in EVERYONE).items() if times > 1] == []


@pytest.mark.parametrize("mutant", EVERYONE, ids=lambda each: each.name)
def test_a_mutant_says_why_it_is_written_so(mutant: Mutant) -> None:
    assert mutant.why.endswith((".", "?", "!"))
    assert mutant.why != " ".join((mutant.harness.__mro__[1].__doc__ or "").split()), "its own, not its base's"


def test_every_module_is_listed_under_the_group_that_its_stores_mostly_break() -> None:
    listed = {name: group for group, names in MODULES.items() for name in names}
    assert set(listed) == {module.name for module in pkgutil.iter_modules(mutants.__path__)}
    for name, group in listed.items():
        module = f"{mutants.__name__}.{name}"
        here = [each for each in all_mutants() if each.harness.__module__ == module]
        broken = Counter(clause.partition("-")[0] for each in here for clause in each.clauses)
        assert broken[group] == max(broken.values()), name


def test_every_clause_that_a_mutant_names_is_in_the_contract() -> None:
    known = {clause.id for clause in load_clauses()}
    assert {clause for each in all_mutants() for clause in each.clauses} <= known


def test_every_clause_has_two_broken_stores() -> None:
    guards = Counter(clause for each in all_mutants() for clause in each.clauses)
    assert [clause.id for clause in load_clauses() if guards[clause.id] < 2] == []


def test_the_conforming_ones_name_no_clause() -> None:
    assert len(conforming_stores()) >= 6
    assert all(each.clauses == () for each in conforming_stores())
