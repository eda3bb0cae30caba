"""Runs clause tests: provision a store, run the examples of a test, judge what was seen.

- ``environment``: one backend's harness, provisioned once a process, with its time and its loop.
- ``context``: what a clause test receives: its handles, its time, its names.
- ``recording``: a backend that records every call, and the history of an example.
- ``clause_test``: the decorator that makes a clause test of a function.
- ``executor``: runs the examples of a test and keeps the shortest failing one.
- ``measure``: runs one test on one backend and judges it.
- ``violation``: how a test reports that a store breaks a clause.
- ``harness_checks``: checks of a harness before the run.
- ``clock``: the suite's clock, and observed time.
- ``loop``: the suite's event loop, on its own thread.
- ``timeouts``: how long a call may take.
- ``tracebacks``: where a store raised an exception.
- ``tiers``: how many examples and steps each tier runs.
- ``exercised``: which branches of a store's code were run.
- ``source_constants``: the constants that a store's source names.
- ``source_files``: the source files of a store.
"""
