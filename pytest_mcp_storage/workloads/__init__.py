"""What the clause tests run against a store: concurrent callers, processes, outages, users.

- ``callers``: plans of concurrent callers, and their execution.
- ``contention``: callers that meet on one session (CO-1, CO-2, CO-3, CO-5).
- ``multiprocess``: several processes on one store (CO-5).
- ``crash``: a process that is killed while it works (DU-2, DU-3).
- ``outages``: calls while the server cannot be reached (FA-1 to FA-3).
- ``sequences``: every operation after every other.
- ``failing_steps``: calls of which one request fails (FA-5).
- ``row_security``: the same store as different users (RS-1 to RS-5).
- ``declarations``: whether a harness can do what it declares (HA-1).
- ``other_key``: sessions that the usual handle has no key for.
"""
