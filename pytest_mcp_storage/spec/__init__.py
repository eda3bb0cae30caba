"""The contract, and the terms that everything else uses.

- ``2026-11.yaml``: the clauses of that revision.
- ``clauses``: loads and validates them.
- ``clause_ids``: sorts and abbreviates clause ids.
- ``capabilities``: what a harness can do with its store.
- ``harness``: ``BackendHarness``, which authors of stores subclass.
- ``outcome``: the outcome of a clause, and of one test of it.
- ``call``: one call of a store, and its outcome.
- ``comparison``: whether two JSON values are equal to a reader of JSON.
- ``tracebacks``: where a store raised an exception.
- ``describe``: values and outcomes of calls as text.
- ``tracebacks``: where an exception was raised: files, lines and functions, and no values, which may be secret.
"""
