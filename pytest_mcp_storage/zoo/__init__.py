"""Broken stores, each with the clause that catches it and the reason why a real author writes it so.

They are made from two correct stores: :mod:`~pytest_mcp_storage.zoo.in_memory_store`, rows in memory behind a round
trip, and :mod:`~pytest_mcp_storage.zoo.json_store`, the same rows in a JSON file. A mutant is a harness class;
``breaks`` names its clauses, its docstring is the reason. There are also conforming stores that only look unusual, and
that no clause may fail.
"""

from pytest_mcp_storage.zoo.mutant import Mutant, all_mutants, conforming_stores

__all__ = ["Mutant", "all_mutants", "conforming_stores"]
