"""The contract, and the terms that everything else uses.

- ``2026-11.yaml``: the clauses of that revision.
- ``clauses``: loads and validates them.
- ``clause_ids``: sorts and abbreviates clause ids.
- ``capabilities``: what a harness can do with its store.
- ``harness``: ``BackendHarness``, which authors of stores subclass.
- ``outcome``: the outcome of a clause, and of one test of it.
- ``comparison``: whether two JSON values are equal to a reader of JSON.
"""
