"""The file store: sessions in one JSON file.

- ``backend``: ``FileStorageBackend``.
- ``session_file``: the sessions of the file.
- ``content``: reading the file, and replacing it atomically.
- ``lock``: the lock between handles and processes.
"""
