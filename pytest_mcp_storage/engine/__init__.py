"""Run clause tests: provision a store, run the examples of a test, judge the result.

- ``environment``: one backend's harness, provisioned once in each process, with its time and its loop.
- ``context``: what a clause test receives: its handles, its time, its names.
- ``cleanup``: removes what the examples of a test wrote.
- ``recording``: a backend that records every call, and the history of an example.
- ``clause_tests``: the decorator that makes a clause test from a function.
- ``executor``: runs the examples of a test and keeps the shortest failing one.
- ``measure``: runs one test on one backend and judges it.
- ``together``: runs the tests that wait for real time at once.
- ``violation``: how a test reports that a store breaks a clause.
- ``harness_checks``: checks of a harness before the run.
- ``clock``: the suite's clock, and observed time.
- ``loop``: the suite's event loop, on a separate thread.
- ``schedule``: the loop on which the order of ready tasks can be drawn.
- ``tracing``: the loop that can trace a store's calls, and nothing around them.
- ``suspensions``: cancels a call at one of its suspension points.
- ``timeouts``: how long a call may take.
- ``renamed_sessions``: removes sessions that a store kept under other names.
- ``resources``: threads, descriptors and processes that this process holds.
- ``tiers``: how many examples and steps each tier runs.
- ``exercised``: which branches of a store's code were run.
- ``source_constants``: the constants that a store's source names.
- ``source_files``: the source files of a store.
- ``observing``: what an observer of every test reports: a clause that a test of another clause has seen broken.
- ``example_names``: the names that an example uses, so that examples and processes don't meet on one store.
- ``at_rest``: what the store holds of a session, as the harness shows it (AT_REST).
"""
