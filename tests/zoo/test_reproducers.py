"""Reproducers of mutants fail on their mutant, and pass on the correct store that it is a change of."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from pytest_mcp_storage.zoo.registry import all_mutants

GROUPS = ("RT", "LC", "ID", "EX", "EN", "MX")
"""Groups whose failures mostly have sequential histories."""


def explanations() -> ModuleType:
    """Import the script that measures all of the zoo."""
    spec = spec_from_file_location("explanations", Path(__file__).parents[2] / "benchmarks/explanations.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["explanations"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the mutants'
@pytest.mark.parametrize("count", [8, pytest.param(50, marks=pytest.mark.verdicts)])
def test_a_sample_of_reproducers_fails_on_the_mutant_and_passes_on_the_correct_store(count: int) -> None:
    script = explanations()
    names = [each.name for each in all_mutants() if each.clauses[0].startswith(GROUPS)]
    found: dict[str, tuple[str, str]] = {}
    for name in (*names[::5], *names[2::5]):  # from every module, and further ones until there are enough
        for each in script.explain(name, "smoke"):
            if each.printed and len(found) < count:
                found[f"{each.mutant}_{each.clause.replace('-', '_')}"] = each.on_mutant, each.on_base
        if len(found) == count:
            break
    assert len(found) == count
    assert script.outcomes({name: on_mutant for name, (on_mutant, _) in found.items()}) == dict.fromkeys(found, False)
    assert script.outcomes({name: on_base for name, (_, on_base) in found.items()}) == dict.fromkeys(found, True)
