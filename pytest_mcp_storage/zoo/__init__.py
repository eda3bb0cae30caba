"""Broken stores, each with the clause that catches it and the reason why a real author writes it so.

They stand on two correct stores: :mod:`~pytest_mcp_storage.zoo.shelf`, rows in memory behind a round trip, and
:mod:`~pytest_mcp_storage.zoo.sheet`, the same rows in a JSON file. A specimen is a harness class; ``breaks`` names its
clauses, its docstring is the reason. Beside them live sound stores that only look odd, and that no clause may fail.
"""

from pytest_mcp_storage.zoo.specimens import Specimen, defects, sound

__all__ = ["Specimen", "defects", "sound"]
