"""The SQLite store: sessions in one database file.

- ``backend``: ``SqliteStorageBackend``.
- ``table``: the rows of the table.
- ``database``: the file and its connection.
- ``check``: checks of an existing file.
- ``execute``: runs one statement, and waits for locks.
"""
