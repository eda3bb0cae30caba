"""A pytest session that judges backends, from options to the verdict.

- ``options``: command-line options and ini values.
- ``backends``: from the name of a backend to its harness.
- ``loading``: from ``module:attribute`` to the object.
- ``collection``: the clause tests as pytest items.
- ``distribution``: which worker of xdist gets which test.
- ``run``: the environments of one process, and their measurements.
- ``judging``: what pytest's hooks call.
- ``verdict``: from measurements to a report.
- ``deviations``: the file of known deviations.
- ``leaks``: failures that pytest adds after a clause was judged.
- ``suite_paths``: the modules of the suite, and arguments that name them.
- ``reproducers``: a failure as a stand-alone test file.
- ``failures``: failing examples in pytest's cache.
- ``ci``: annotations and summary for GitHub Actions.
- ``repeats``: failures whose cause another one shows.
- ``running``: which clause is running, on a terminal.
- ``fixtures``: ``mcp_backend`` and ``mcp_backend_harness``.
- ``formatting``: a measurement as text.
"""
