"""The zoo's register: what CI counts on."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_mcp_storage.clauses import load_clauses
from pytest_mcp_storage.zoo.specimens import Specimen, defects, sound

EVERYONE = (*defects(), *sound())


def test_no_two_specimens_share_a_name() -> None:
    assert [name for name, times in Counter(each.name for each in EVERYONE).items() if times > 1] == []


@pytest.mark.parametrize("specimen", EVERYONE, ids=lambda each: each.name)
def test_a_specimen_says_why_it_is_written_so(specimen: Specimen) -> None:
    assert specimen.why.endswith((".", "?", "!"))
    assert specimen.why != " ".join((specimen.harness.__mro__[1].__doc__ or "").split()), "its own, not its base's"


def test_every_clause_that_a_specimen_names_is_in_the_contract() -> None:
    known = {clause.id for clause in load_clauses()}
    assert {clause for each in defects() for clause in each.clauses} <= known


def test_every_clause_has_two_broken_stores() -> None:
    guards = Counter(clause for each in defects() for clause in each.clauses)
    assert [clause.id for clause in load_clauses() if guards[clause.id] < 2] == []


def test_the_sound_ones_name_no_clause() -> None:
    assert len(sound()) >= 6
    assert all(each.clauses == () for each in sound())
