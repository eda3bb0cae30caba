"""Broken stores (mutants) that the clauses must kill, and unusual conforming stores that they must pass.

A mutant is a harness class: ``breaks`` names its clauses, and its docstring is the reason why a real author writes it.

- ``in_memory_store``: a correct store in memory, from which most mutants are made.
- ``json_store``: the same in a JSON file.
- ``sealing``: the same with its own keyring.
- ``mutant``: :class:`Mutant`, and the decorator ``broken``.
- ``mutants``: the broken stores.
- ``conforming``: the correct but unusual ones.
- ``registry``: lists both, mutants by clause group.
- ``run``: runs one of them against the clauses.
- ``signatures``: which clauses fail each mutant, and how.
"""

from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.registry import all_mutants, conforming_stores

__all__ = ["Mutant", "all_mutants", "conforming_stores"]
