"""What the clause tests run against a store: concurrent callers, processes, outages, users.

- ``attempts``: one call of each method, with its result and its effect (CA, RE).
- ``callers``: plans of concurrent callers, and their execution.
- ``cancellation``: calls that are cancelled at each suspension point (CA-1 to CA-5).
- ``churn``: listings while other sessions come and go (CO-6).
- ``companions``: concurrent calls some of which are cancelled (CA-3).
- ``contention``: callers that meet on one session (CO-1, CO-2, CO-3, CO-5).
- ``crash``: a process that is killed while it works (DU-2, DU-3).
- ``deadlines``: timeouts and task groups that cancel a call (CA-4).
- ``declarations``: whether a harness can do what it declares (HA-1).
- ``followers``: the calls after a cancelled one (CA-2, CA-3).
- ``leftovers``: what handles leave in the process (RE-1 to RE-3).
- ``multiprocess``: several processes on one store (CO-5).
- ``other_key``: sessions that the usual handle has no key for.
- ``outages``: calls while the server cannot be reached (FA-1 to FA-3).
- ``sequences``: every operation after every other.
- ``failing_steps``: calls of which one request fails (FA-5).
- ``row_security``: the same store as different users (RS-1 to RS-5).
- ``tenants``: several identities at once (CO-7).
- ``paths``: the paths on which a store writes secrets, each walked with canaries: conflicts, faults, sizes,.
- ``observer``: an observer of every test: whatever clause it judges, what was written under a key must be.
- ``sequences``: run the planned sequences once for a store, and keep what each clause's test reports of them.
- ``walk``: A walk along a path that secrets take: a store, handles on it, and sessions with canaries in them.

"""
