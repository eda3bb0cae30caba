"""What the file store and the SQLite store share.

- ``backend``: a backend over a synchronous engine.
- ``worker``: the thread that the engine runs on.
- ``rows``: a record as the JSON text of a row.
- ``filesystem``: private files, replaced atomically.
- ``polling``: waiting for a lock that another process holds.
"""
