"""The SQLite store: sessions in one database file.

- ``backend``: ``SqliteStorageBackend``.
- ``table``: the rows of the table.
- ``database``: opening the file, and SQLite's errors as errors of the library.
- ``check``: whether the file and the table can be used.
- ``execute``: one statement, with waiting for locks.
- ``fork``: closes connections before the process forks.
"""
